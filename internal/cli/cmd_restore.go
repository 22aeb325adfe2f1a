package cli

import (
	"context"

	"github.com/spf13/cobra"

	"gsprobackup/internal/remote"
	"gsprobackup/internal/restore"
	"gsprobackup/internal/usererr"
)

func restoreCommand(s *session) *cobra.Command {
	rules := commandRules{name: "restore", takesID: true, takesTarget: true, logged: true, needsDSS: true}
	return newCommand("restore", "restore an instance", s.command(rules, func(ctx context.Context, r *request) error {
		opts, err := s.restoreOptions(r)
		if err != nil {
			return err
		}
		return s.withDataHost(ctx, r, func(ctx context.Context, host remote.Host) error {
			if !r.DryRun {
				return restore.Run(ctx, s.restoreDeps(host), opts)
			}
			plan, err := restore.MakePlan(ctx, s.restoreDeps(host), opts)
			if err != nil {
				return err
			}
			return s.writePlan(s.streams.Out, plan)
		})
	}))
}

func (s *session) restoreDeps(host remote.Host) restore.Deps {
	return restore.Deps{FS: s.env.FS, Host: host, Sink: s.console, Now: s.env.Now}
}

func (s *session) restoreOptions(r *request) (restore.Options, error) {
	cfg := r.Config
	if cfg.PGData == "" {
		return restore.Options{}, usererr.New("required parameter not specified: PGDATA (-D, --pgdata)")
	}
	program := s.env.Program
	if remoteWanted(cfg) {
		program = "" // neither it nor the catalog is there
	}
	return restore.Options{
		Instance: r.instance, BackupID: r.ID, PGData: cfg.PGData, SystemID: cfg.SystemIdentifier,
		Incremental: r.Incremental, IncludeDatabases: r.IncludeDatabases, ExcludeDatabases: r.ExcludeDatabases,
		Target: r.Recovery, Threads: r.threads(),
		Tablespaces: places(r.TablespaceMap, cfg), Externals: places(r.ExternalMap, cfg), SkipExternal: r.SkipExternalDirs,
		Force: r.Force, NoValidate: r.NoValidate, SkipBlockValidation: r.SkipBlockValidation,
		NoSync: r.NoSync, RestoreCommand: cfg.RestoreCommand, Program: program,
	}, nil
}
