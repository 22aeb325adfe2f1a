package cli

import (
	"gsprobackup/internal/catalog"
	"gsprobackup/internal/optvalue"
)

// This file is the C tool's command-line option table as data (spec/cli.md
// §3.1). The instance options, which the config file shares, are in
// internal/catalog and joined to this table in instanceopts.go.
//
// The order is the C source's, because ambiguity messages show it: it follows
// the order of the short options in getopt's option string and the recorded
// possibilities lists (§5.6 rows 2 and 10).

// setter stores a value that was given on the command line.
type setter func(o *options, value string) error

// repeat says what a second occurrence of an option means.
type repeat int

const (
	once     repeat = iota // "specified only once"
	lastWins               // enumerations
	collect                // lists
)

// option is one row of the table.
type option struct {
	name  string
	short byte
	arg   bool
	set   setter
	again repeat
	// sameAs is the name of an earlier row this one is a synonym of: both
	// count as one option, and messages use the earlier name.
	sameAs string
	// since is the profile of the first release that has the option, "" for
	// 1.1. Older profiles know it by its full name only, so that it does not
	// change what an abbreviation meant.
	since string
	// secret values are masked in the process list and in log files.
	secret bool
}

func commandLineOptions() []option {
	return []option{
		{name: "help", set: yes(func(o *options) *bool { return &o.Help })},
		{name: "backup-path", short: 'B', arg: true, set: text(func(o *options) *string { return &o.BackupPath })},
		{name: "threads", short: 'j', arg: true, set: unsigned(func(o *options) *uint32 { return &o.Threads })},
		{name: "stream", set: yes(func(o *options) *bool { return &o.Stream })},
		{name: "progress", set: yes(func(o *options) *bool { return &o.Progress })},
		{name: "backup-id", short: 'i', arg: true, set: text(func(o *options) *string { return &o.BackupID })},
		{name: "no-sync", set: yes(func(o *options) *bool { return &o.NoSync })},

		{name: "backup-pg-log", set: yes(func(o *options) *bool { return &o.BackupLog })},
		{name: "backup-mode", short: 'b', arg: true, set: setMode, again: lastWins},
		{name: "smooth-checkpoint", short: 'C', set: yes(func(o *options) *bool { return &o.SmoothCheckpoint })},
		{name: "slot", short: 'S', arg: true, set: text(func(o *options) *string { return &o.Slot })},
		{name: "temp-slot", set: yes(func(o *options) *bool { return &o.TempSlot })},
		{name: "delete-wal", set: yes(func(o *options) *bool { return &o.DeleteWAL })},
		{name: "delete-expired", set: yes(func(o *options) *bool { return &o.DeleteExpired })},
		{name: "merge-expired", set: yes(func(o *options) *bool { return &o.MergeExpired })},
		{name: "dry-run", set: yes(func(o *options) *bool { return &o.DryRun })},
		{name: "note", arg: true, set: text(func(o *options) *string { return &o.Note })},

		{name: "recovery-target-time", arg: true, set: text(func(o *options) *string { return &o.Target.Time })},
		{name: "recovery-target-xid", arg: true, set: text(func(o *options) *string { return &o.Target.XID })},
		{name: "recovery-target-lsn", arg: true, set: text(func(o *options) *string { return &o.Target.LSN })},
		{name: "recovery-target-inclusive", arg: true, set: text(func(o *options) *string { return &o.Target.Inclusive })},
		{name: "tablespace-mapping", short: 'T', arg: true, again: collect, set: setMapping("tablespace", func(o *options) *[]mapping { return &o.TablespaceMap })},
		{name: "external-mapping", arg: true, again: collect, set: setMapping("external directory", func(o *options) *[]mapping { return &o.ExternalMap })},
		{name: "recovery-target-name", arg: true, set: text(func(o *options) *string { return &o.Target.Name })},
		{name: "no-validate", set: yes(func(o *options) *bool { return &o.NoValidate })},
		{name: "skip-block-validation", set: yes(func(o *options) *bool { return &o.SkipBlockValidation })},
		{name: "skip-external-dirs", set: yes(func(o *options) *bool { return &o.SkipExternalDirs })},
		{name: "incremental-mode", short: 'I', arg: true, set: setIncremental, again: lastWins},

		{name: "with-encryption", since: "6.0", arg: true, set: text(func(o *options) *string { return &o.Encryption.Method })},
		{name: "with-key", since: "6.0", arg: true, secret: true, set: text(func(o *options) *string { return &o.Encryption.Key })},
		{name: "with-salt", since: "6.0", arg: true, secret: true, set: text(func(o *options) *string { return &o.Encryption.Salt })},
		{name: "with-device-params", since: "6.0", arg: true, secret: true, set: text(func(o *options) *string { return &o.Encryption.Device })},
		{name: "gen-key", since: "6.0", set: yes(func(o *options) *bool { return &o.Encryption.GenKey })},

		{name: "wal", set: yes(func(o *options) *bool { return &o.WAL })},
		{name: "expired", set: yes(func(o *options) *bool { return &o.Expired })},
		{name: "status", arg: true, set: text(func(o *options) *string { return &o.Status })},
		{name: "backup-pg-replslot", since: "5.0", set: yes(func(o *options) *bool { return &o.BackupReplslot })},
		{name: "force", set: yes(func(o *options) *bool { return &o.Force })},

		{name: "compress", set: yes(func(o *options) *bool { return &o.Compress })},

		{name: "no-password", short: 'w', set: yes(func(o *options) *bool { return &o.NoPassword })},
		{name: "password", short: 'W', arg: true, secret: true, set: text(func(o *options) *string { return &o.Password })},
		{name: "rw-timeout", since: "3.0", short: 't', arg: true, set: unsigned(func(o *options) *uint32 { return &o.RWTimeout })},
		{name: "instance", arg: true, set: text(func(o *options) *string { return &o.Instance })},

		{name: "wal-file-path", arg: true, set: text(func(o *options) *string { return &o.WALFile.Path })},
		{name: "wal-file-name", arg: true, set: text(func(o *options) *string { return &o.WALFile.Name })},
		{name: "overwrite", set: yes(func(o *options) *bool { return &o.WALFile.Overwrite })},
		{name: "no-ready-rename", set: yes(func(o *options) *bool { return &o.WALFile.NoReadyRename })},
		{name: "batch-size", arg: true, set: signed(func(o *options) *int32 { return &o.WALFile.BatchSize })},
		{name: "prefetch-dir", arg: true, set: text(func(o *options) *string { return &o.WALFile.PrefetchDir })},
		{name: "no-validate-wal", set: yes(func(o *options) *bool { return &o.WALFile.NoValidateWAL })},

		{name: "format", arg: true, set: setFormat, again: lastWins},
		{name: "archive", set: yes(func(o *options) *bool { return &o.Archive })},

		{name: "ttl", arg: true, set: setTTL},
		{name: "expire-time", arg: true, set: text(func(o *options) *string { return &o.ExpireTime })},

		{name: "time", arg: true, sameAs: "recovery-target-time"},
		{name: "xid", arg: true, sameAs: "recovery-target-xid"},
		{name: "inclusive", arg: true, sameAs: "recovery-target-inclusive"},
		{name: "timeline", arg: true, set: unsigned(func(o *options) *uint32 { return &o.Target.Timeline })},
		{name: "lsn", arg: true, sameAs: "recovery-target-lsn"},
		{name: "immediate", set: yes(func(o *options) *bool { return &o.Target.Immediate })},

		{name: "media-type", since: "6.0", short: 'M', arg: true, set: setMediaType, again: lastWins},
		{name: "s3-status", since: "6.0", arg: true, set: text(func(o *options) *string { return &o.S3Status })},
	}
}

// extensionOptions are ours; the C tool does not know them. They are matched
// by their full name only.
func extensionOptions(cfg *catalog.Config) []option {
	table := []option{
		{name: "compat", arg: true, set: text(func(o *options) *string { return &o.Compat })},
		{name: "explain", set: yes(func(o *options) *bool { return &o.Explain })},
		{name: "hints", set: yes(func(o *options) *bool { return &o.Hints })},
		{name: "recovery-target-timeline", arg: true, set: setTargetTimeline},
		{name: "latest", set: yes(func(o *options) *bool { return &o.Target.Latest })},
		{name: "db-include", arg: true, again: collect, set: names(func(o *options) *[]string { return &o.IncludeDatabases })},
		{name: "db-exclude", arg: true, again: collect, set: names(func(o *options) *[]string { return &o.ExcludeDatabases })},
		{name: "until", arg: true, set: text(func(o *options) *string { return &o.WALFile.Until })},
		{name: "log-format", arg: true, set: setLogFormat},
		{name: "metrics-file", arg: true, set: text(func(o *options) *string { return &o.MetricsFile })},
		{name: "remote-deploy", set: yes(func(o *options) *bool { return &o.RemoteDeploy })},
	}
	for _, co := range catalog.ExtensionOptions() {
		table = append(table, instanceOption(co, cfg))
	}
	return table
}

// yes makes a setter for a flag.
func yes(field func(*options) *bool) setter {
	return func(o *options, _ string) error {
		*field(o) = true
		return nil
	}
}

// names makes a setter that adds a name to a list.
func names(field func(*options) *[]string) setter {
	return func(o *options, value string) error {
		list := field(o)
		*list = append(*list, value)
		return nil
	}
}

func text(field func(*options) *string) setter {
	return func(o *options, value string) error {
		s, err := optvalue.ParseString(value)
		if err == nil {
			*field(o) = s
		}
		return err
	}
}

func unsigned(field func(*options) *uint32) setter {
	return func(o *options, value string) error {
		n, err := optvalue.ParseUint32(value, optvalue.NoUnit)
		if err == nil {
			*field(o) = n
		}
		return err
	}
}

func signed(field func(*options) *int32) setter {
	return func(o *options, value string) error {
		n, err := optvalue.ParseInt32(value, optvalue.NoUnit)
		if err == nil {
			*field(o) = n
		}
		return err
	}
}
