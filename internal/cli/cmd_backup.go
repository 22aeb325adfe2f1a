package cli

import (
	"context"
	"math"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gsprobackup/internal/backup"
	"gsprobackup/internal/catalog"
	"gsprobackup/internal/compress"
	"gsprobackup/internal/remote"
	"gsprobackup/internal/server"
	"gsprobackup/internal/usererr"
)

// backupSettings is what the command line and the instance say about a backup.
type backupSettings struct {
	backup.Options
	Server    server.Options
	Retention retentionSettings
}

// retentionSettings is the policy with what shall be done about it.
type retentionSettings struct {
	Redundancy, Window, WALDepth uint32
	Delete, Merge, DeleteWAL     bool
	DryRun                       bool
	Threads                      int
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
		run := func(ctx context.Context, host remote.Host) error { return s.runBackup(ctx, host, settings) }
		if err := s.withDataHost(ctx, r, run); err != nil || !settings.Retention.any() {
			return err
		}
		return s.runRetention(ctx, r.instance, settings.Retention)
	}))
}

// runBackup hands over to the use case.
func (s *session) runBackup(ctx context.Context, host remote.Host, b backupSettings) error {
	deps := backup.Deps{
		FS: s.env.FS, Host: host, Sink: s.console, Now: s.env.Now,
		Connect: func(ctx context.Context) (*server.Conn, error) { return server.Connect(ctx, b.Server) },
	}
	_, err := backup.Run(ctx, deps, b.Options)
	return err
}

func (s *session) backupSettings(r *request) (backupSettings, error) {
	cfg := r.Config
	if r.Mode == catalog.ModeInvalid {
		return backupSettings{}, usererr.New("required parameter not specified: BACKUP_MODE (-b, --backup-mode)")
	}
	if cfg.PGData == "" {
		return backupSettings{}, usererr.New("required parameter not specified: PGDATA (-D, --pgdata)")
	}
	if r.Pin.TTL > int64(math.MaxInt64/time.Second) {
		// The C tool stores a time it cannot read again (spec/cli.md §13
		// row 2).
		return backupSettings{}, usererr.New("Invalid value for '--ttl' option: more than 292 years")
	}
	var note string
	var noNote bool
	if r.Pin.Note != "" {
		var err error
		if note, noNote, err = noteText(r.Pin.Note); err != nil {
			return backupSettings{}, err
		}
	}
	dirs, list := externals(cfg)
	retention := s.retentionSettings(r)
	algorithm := cfg.CompressAlgorithm
	if algorithm == compress.Undefined {
		algorithm = compress.None
	}
	return backupSettings{
		Options: backup.Options{
			Instance: r.instance, CatalogRoot: r.Catalog,
			Mode: r.Mode, PGData: cfg.PGData, SystemID: cfg.SystemIdentifier,
			Algorithm: algorithm, Level: int(cfg.CompressLevel), Threads: r.threads(),
			Smooth: r.SmoothCheckpoint, Slot: r.Slot, TempSlot: r.TempSlot,
			BackupLog: r.BackupLog, BackupReplSlots: r.BackupReplslot,
			ExternalDirs: dirs, ExternalList: list,
			NoSync: r.NoSync, NoValidate: r.NoValidate, SkipBlockValidation: r.SkipBlockValidation,
			Note: note, NoNote: noNote, TTL: time.Duration(r.Pin.TTL) * time.Second, ExpireTime: r.Pin.Expire,
			ArchiveTimeout: time.Duration(cfg.ArchiveTimeout) * time.Second,
			RWTimeout:      time.Duration(r.RWTimeout) * time.Second,
			WithoutStorage: !s.profile.StorageSection, WithoutS3: !s.profile.S3Section,
			Remote: remoteWanted(cfg),
		},
		Server:    s.serverOptions(r),
		Retention: retention,
	}, nil
}

// externalDirs resolves the neutral word.
func externalDirs(cfg *catalog.Config) string {
	if strings.EqualFold(cfg.ExternalDirs, "none") {
		return ""
	}
	return cfg.ExternalDirs
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
		Threads:    r.threads(),
	}
}
