package cli

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"gsprobackup/internal/catalog"
	"gsprobackup/internal/compress"
	"gsprobackup/internal/server"
	"gsprobackup/internal/usererr"
)

// backupSettings is what the command line and the instance say about a backup.
type backupSettings struct {
	Catalog  string
	Instance string
	Config   *catalog.Config

	Mode                catalog.Mode
	PGData              string
	ExternalDirs        string // colon separated; "" for none
	Server              server.Options
	Slot                string
	FastCheckpoint      bool
	IncludeLog          bool
	IncludeReplslot     bool
	ArchiveTimeout      time.Duration
	Compression         compress.Algorithm
	CompressLevel       int
	Threads             int
	Sync                bool
	Validate            bool
	SkipBlockValidation bool
	Pin                 pinOptions
	Retention           retentionSettings
}

// retentionSettings is the policy with what shall be done about it.
type retentionSettings struct {
	Redundancy, Window, WALDepth uint32
	Delete, Merge, DeleteWAL     bool
	DryRun                       bool
}

// any tells whether a retention run is wanted.
func (r retentionSettings) any() bool { return r.Delete || r.Merge || r.DeleteWAL }

func backupCommand(s *session) *cobra.Command {
	rules := commandRules{name: "backup", pins: true, logged: true, needsDSS: true}
	return newCommand("backup", "back up an instance", s.command(rules, func(ctx context.Context, r *request) error {
		settings, err := s.backupSettings(r)
		if err != nil {
			return err
		}
		return s.runBackup(ctx, settings)
	}))
}

// runBackup hands over to the use case.
func (s *session) runBackup(_ context.Context, _ backupSettings) error {
	return notBuiltIn("The command backup")
}

func (s *session) backupSettings(r *request) (backupSettings, error) {
	cfg := r.Config
	if r.Mode == catalog.ModeInvalid {
		return backupSettings{}, usererr.New("required parameter not specified: BACKUP_MODE (-b, --backup-mode)")
	}
	if cfg.PGData == "" {
		return backupSettings{}, usererr.New("required parameter not specified: PGDATA (-D, --pgdata)")
	}
	if remoteWanted(cfg) {
		return backupSettings{}, notBuiltIn("Remote mode (--remote-host)")
	}
	retention := s.retentionSettings(r)
	if retention.any() {
		return backupSettings{}, notBuiltIn("Retention (--delete-expired, --merge-expired, --delete-wal)")
	}
	algorithm := cfg.CompressAlgorithm
	if algorithm == compress.Undefined {
		algorithm = compress.None
	}
	return backupSettings{
		Catalog: r.Catalog, Instance: r.Instance, Config: cfg,
		Mode: r.Mode, PGData: cfg.PGData, ExternalDirs: externalDirs(cfg),
		Server:         s.serverOptions(r),
		Slot:           r.Slot,
		FastCheckpoint: !r.SmoothCheckpoint,
		IncludeLog:     r.BackupLog, IncludeReplslot: r.BackupReplslot,
		ArchiveTimeout: time.Duration(cfg.ArchiveTimeout) * time.Second,
		Compression:    algorithm, CompressLevel: int(cfg.CompressLevel),
		Threads: r.threads(), Sync: !r.NoSync, Validate: !r.NoValidate,
		SkipBlockValidation: r.SkipBlockValidation,
		Pin:                 r.Pin, Retention: retention,
	}, nil
}

// externalDirs resolves the neutral word.
func externalDirs(cfg *catalog.Config) string {
	if cfg.ExternalDirs == "none" {
		return ""
	}
	return cfg.ExternalDirs
}

// remoteWanted is the C tool's rule for remote mode (spec/cli.md §3.2).
func remoteWanted(cfg *catalog.Config) bool {
	return cfg.RemoteHost != "" && cfg.RemoteProto == "ssh"
}

func (s *session) serverOptions(r *request) server.Options {
	cfg := r.Config
	return server.Options{
		Host: cfg.PGHost, Port: cfg.PGPort, User: cfg.PGUser, Database: cfg.PGDatabase,
		Password: r.Password, NoPassword: r.NoPassword, Prompt: s.promptPassword,
		RWTimeout: time.Duration(r.RWTimeout) * time.Second,
		Env:       s.env.LookupEnv,
		Events:    s.console,
	}
}

func (s *session) retentionSettings(r *request) retentionSettings {
	return retentionSettings{
		Redundancy: r.Config.RetentionRedundancy,
		Window:     r.Config.RetentionWindow,
		WALDepth:   r.Config.WALDepth,
		Delete:     r.DeleteExpired || r.Expired,
		Merge:      r.MergeExpired,
		DeleteWAL:  r.DeleteWAL || r.WAL,
		DryRun:     r.DryRun,
	}
}
