package cli

import (
	"slices"

	"gsprobackup/internal/compat"
)

// The options and synopsis lines that several help pages share. The wording
// of the descriptions is ours; names, columns and defaults are the C tool's.

var (
	optCatalog    = helpOption{short: 'B', long: "backup-path=backup-path", text: []string{"directory of the backup catalog"}}
	optData       = helpOption{short: 'D', long: "pgdata=pgdata-path", text: []string{"directory of the database cluster"}}
	optThreads    = helpOption{short: 'j', long: "threads=threads_num", text: []string{"number of workers"}}
	optProgress   = helpOption{long: "progress", text: []string{"report every file"}}
	optSkipBlocks = helpOption{long: "skip-block-validation", text: []string{"check whole files only, not their pages"}}
	optFormat     = helpOption{long: "format=format", text: []string{"form of the output: PLAIN|JSON"}}
	optExternal   = helpOption{short: 'E', long: "external-dirs=external-directories-paths", text: []string{
		"directories outside pgdata to back up as well",
		"(example: --external-dirs=/tmp/dir1:/tmp/dir2)",
	}}
	optArchiveTimeout = helpOption{long: "archive-timeout=timeout", text: []string{"longest wait for a WAL segment (default: 5min)"}}
)

func optInstance(text string) helpOption {
	return helpOption{long: "instance=instance_name", text: []string{text}}
}

func optID(text string) helpOption {
	return helpOption{short: 'i', long: "backup-id=backup-id", text: []string{text}}
}

func optNote(text string) helpOption {
	return helpOption{long: "note=text", text: []string{text, "(example: --note='backup before app update to v13.1')"}}
}

func pinning() []helpOption {
	return []helpOption{
		{long: "ttl=interval", text: []string{
			"keep the backup for this time; 0 unpins it",
			"available units: 'ms', 's', 'min', 'h', 'd' (default: s)",
			"(example: --ttl=20d)",
		}},
		{long: "expire-time=time", text: []string{
			"keep the backup until this time",
			"(example: --expire-time='2024-01-01 00:00:00+03')",
		}},
	}
}

func recoveryGroup() helpGroup {
	return helpGroup{title: titleRecovery, options: []helpOption{
		{long: "recovery-target-time=time", text: []string{"recover up to this time"}},
		{long: "recovery-target-xid=xid", text: []string{"recover up to this transaction ID"}},
		{long: "recovery-target-lsn=lsn", text: []string{"recover up to this position of the write-ahead log"}},
		{long: "recovery-target-name=target-name", text: []string{"recover up to this named restore point"}},
		{long: "recovery-target-inclusive=boolean", text: []string{"whether the target itself is recovered"}},
	}}
}

func targetSynopsis() []synopsisLine {
	return same("[--recovery-target-time=time|--recovery-target-xid=xid",
		" |--recovery-target-lsn=lsn|--recovery-target-name=target-name]",
		"[--recovery-target-inclusive=boolean]")
}

func loggingGroup() helpGroup {
	levels := "available options: 'off', 'error', 'warning', 'info', 'log', 'verbose'"
	return helpGroup{title: titleLogging, options: []helpOption{
		{long: "log-level-console=log-level-console", text: []string{"lowest level shown on the console (default: info)", levels}},
		{long: "log-level-file=log-level-file", text: []string{"lowest level written to the log file (default: off)", levels}},
		{long: "log-filename=log-filename", alone: true, text: []string{
			"name of the log file (default: 'pg_probackup.log')",
			"may contain strftime conversions (example: pg_probackup-%Y-%m-%d_%H%M%S.log)",
		}},
		{long: "error-log-filename=error-log-filename", text: []string{"name of a file for errors only (default: none)"}},
		{long: "log-directory=log-directory", text: []string{"directory of the log files (default: BACKUP_PATH/log)"}},
		{long: "log-rotation-size=log-rotation-size", text: []string{
			"start the log file anew above this size; 0 disables; (default: 0)",
			"available units: 'kB', 'MB', 'GB', 'TB' (default: kB)",
		}},
		{long: "log-rotation-age=log-rotation-age", text: []string{
			"start the log file anew above this age; 0 disables; (default: 0)",
			"available units: 'ms', 's', 'min', 'h', 'd' (default: min)",
		}},
	}}
}

func logSynopsis() []synopsisLine {
	return same("[--log-level-console=log-level-console]",
		"[--log-level-file=log-level-file]",
		"[--log-filename=log-filename]",
		"[--error-log-filename=error-log-filename]",
		"[--log-directory=log-directory]",
		"[--log-rotation-size=log-rotation-size]",
		"[--log-rotation-age=log-rotation-age]")
}

// retentionGroup lists the policy, with the actions that apply it if wanted.
func retentionGroup(actions bool, when ...string) helpGroup {
	g := helpGroup{title: titleRetention}
	if actions {
		policy := "policy no longer needs"
		for _, w := range when {
			policy += "," + w
		}
		g.options = []helpOption{
			{long: "delete-expired", text: []string{"delete the backups that the retention", policy}},
			{long: "merge-expired", text: []string{"merge the backups that the retention", policy}},
			{long: "delete-wal", text: []string{"delete WAL that no backup needs from the archive"}},
		}
	}
	g.options = append(g.options,
		helpOption{long: "retention-redundancy=retention-redundancy", text: []string{"full backups to keep; 0 disables; (default: 0)"}},
		helpOption{long: "retention-window=retention-window", text: []string{"days to stay recoverable; 0 disables; (default: 0)"}},
		helpOption{long: "wal-depth=wal-depth", text: []string{
			"newest valid backups per timeline that keep the WAL",
			"for point-in-time recovery; 0 disables; (default: 0)",
		}})
	if actions {
		g.options = append(g.options, helpOption{long: "dry-run", text: []string{"say what would be done and change nothing"}})
	}
	return g
}

func compressionGroup(p compat.Profile, alias bool) helpGroup {
	algorithms := "'zlib', 'pglz', 'none'"
	if p.ExtraAlgorithms {
		algorithms = "'zlib', 'lz4', 'zstd', 'pglz', 'none'"
	}
	fallback := "'none'" // quoted on the page without the alias
	if alias {
		fallback = "none"
	}
	g := helpGroup{title: titleCompression, options: []helpOption{
		{long: "compress-algorithm=compress-algorithm", text: []string{"available options: " + algorithms + " (default: " + fallback + ")"}},
		{long: "compress-level=compress-level", text: []string{"how hard to compress [0-9] (default: 1)"}},
	}}
	if alias {
		g.options = append(g.options, helpOption{long: "compress", text: []string{"the same as --compress-algorithm='zlib'"}})
	}
	return g
}

func connectionGroup(password bool) helpGroup {
	g := helpGroup{title: titleConnection, options: []helpOption{
		{short: 'U', long: "pguser=username", text: []string{"user to connect as (default: current local user)"}},
		{short: 'd', long: "pgdatabase=dbname", text: []string{"database to connect to (default: username)"}},
		{short: 'h', long: "pghost=hostname", text: []string{"host or socket directory of the server (default: 'local socket')"}},
		{short: 'p', long: "pgport=port", text: []string{"port of the server (default: 5432)"}},
	}}
	if password {
		g.options = append(g.options,
			helpOption{short: 'w', long: "no-password", text: []string{"never ask for a password"}},
			helpOption{short: 'W', long: "password=password", text: []string{"password of the database user"}})
	}
	return g
}

func remoteGroup(p compat.Profile) helpGroup {
	g := helpGroup{title: titleRemote, options: []helpOption{
		{long: "remote-proto=protocol", text: []string{"how to reach the remote host", "available options: 'ssh', 'none' (default: ssh)"}},
		{long: "remote-host=destination", text: []string{"remote host, by name or address"}},
		{long: "remote-port=port", text: []string{"port of the remote host (default: 22)"}},
		{long: "remote-path=path", text: []string{"directory of gs_probackup on the remote host", "(default: current binary path)"}},
		{long: "remote-user=username", text: []string{"user on the remote host (default: current user)"}},
	}}
	if p.RemoteLibpath {
		o := helpOption{long: "remote-libpath=libpath", text: []string{"library directory on the remote host"}}
		if p.CrookedHelp {
			o.column = 39
		}
		g.options = append(g.options, o)
	}
	g.options = append(g.options, helpOption{long: "ssh-options=ssh_options", text: []string{
		"more options for ssh (default: none)",
		"(example: --ssh-options='-c cipher_spec -F configfile')",
	}})
	return g
}

func remoteSynopsis(p compat.Profile) []synopsisLine {
	lines := same("[--remote-proto=protocol] [--remote-host=destination]",
		"[--remote-path=path] [--remote-user=username]",
		"[--remote-port=port] [--ssh-options=ssh_options]")
	if p.RemoteLibpath {
		lines = append(lines, same("[--remote-libpath=libpath]")...)
	}
	return lines
}

// pageRemoteSynopsis is remoteSynopsis for the pages of add-instance and
// set-config, which had odd lines before 6.0.
func pageRemoteSynopsis(p compat.Profile) []synopsisLine {
	lines := remoteSynopsis(p)
	if !p.CrookedHelp {
		return lines
	}
	again := lines[2]
	again.pageOnly = true
	return slices.Concat(lines[:3], []synopsisLine{{pageOnly: true}}, lines[3:], []synopsisLine{again})
}

// setConfigRemoteSynopsis has two lines swapped on the command's own page.
func setConfigRemoteSynopsis(p compat.Profile) []synopsisLine {
	lines := pageRemoteSynopsis(p)
	if p.RemoteLibpath && !p.CrookedHelp {
		port, libpath := lines[2].text, lines[3].text
		lines[2] = synopsisLine{text: libpath, general: port}
		lines[3] = synopsisLine{text: port, general: libpath}
	}
	return lines
}

func s3Group(p compat.Profile) helpGroup {
	if !p.S3 {
		return helpGroup{}
	}
	return helpGroup{title: titleS3, options: []helpOption{
		{long: "media-type=type", text: []string{"where backups are kept: s3 or disk"}},
		{long: "access-id=ak", text: []string{"access key ID of the object storage"}},
		{long: "access-key=sk", text: []string{"secret key that belongs to the access key ID"}},
		{long: "access-bucket=bucket", text: []string{"bucket to use; it must exist"}},
		{long: "endpoint=endpoint", text: []string{"address of the object storage, for example IP: port"}},
		{long: "region=region", text: []string{"region of the object storage, if it has any"}},
	}}
}

func s3Synopsis(p compat.Profile) []synopsisLine {
	if !p.S3 {
		return nil
	}
	return same("[--media-type=type] [--access-id=ak] [--access-key=sk]",
		"[--access-bucket=bucket] [--endpoint=endpoint] [--region=region]")
}

// dssGroup has one text two columns to the left; where the instance is
// configured it was two columns to the right before 6.0.
func dssGroup(p compat.Profile, config bool) helpGroup {
	if !p.DSS {
		return helpGroup{}
	}
	column := 33
	if config && p.CrookedHelp {
		column = 37
	}
	g := helpGroup{title: titleDSS, options: []helpOption{
		{long: "enable-dss", text: []string{"use shared storage"}},
		{long: `vgname="vgdata,vglog"`, column: column, text: []string{"volume groups of the shared storage"}},
	}}
	if p.InstanceIDHelp {
		g.options = append(g.options, helpOption{long: "instance-id=instance_id", text: []string{"number of the node in the shared storage"}})
	}
	g.options = append(g.options, helpOption{long: "socketpath=socketpath", text: []string{"socket of the shared storage service"}})
	return g
}

func dssSynopsis(p compat.Profile) []synopsisLine {
	switch {
	case !p.DSS:
		return nil
	case p.InstanceIDHelp:
		return same("[--enable-dss] [--instance-id=instance_id]",
			`[--vgname="vgdata,vglog"] [--socketpath=socketpath]`)
	}
	return same(`[--enable-dss] [--vgname="vgdata,vglog"] [--socketpath=socketpath]`)
}
