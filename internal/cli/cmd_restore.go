package cli

import (
	"context"

	"github.com/spf13/cobra"

	"gsprobackup/internal/catalog"
	"gsprobackup/internal/restore"
	"gsprobackup/internal/usererr"
)

// restoreSettings is what the command line and the instance say about a
// restore.
type restoreSettings struct {
	Catalog  string
	Instance string
	Config   *catalog.Config

	ID                  catalog.ID // 0: the newest that fits the target
	PGData              string
	Target              restore.Target
	RestoreCommand      string // "" for none
	Incremental         incrementalMode
	Tablespaces         []mapping
	ExternalDirs        []mapping
	SkipExternal        bool
	Force               bool
	Sync                bool
	Validate            bool
	SkipBlockValidation bool
	Threads             int
}

func restoreCommand(s *session) *cobra.Command {
	rules := commandRules{name: "restore", takesID: true, takesTarget: true, logged: true, needsDSS: true}
	return newCommand("restore", "restore an instance", s.command(rules, func(ctx context.Context, r *request) error {
		settings, err := s.restoreSettings(r)
		if err != nil {
			return err
		}
		return s.runRestore(ctx, settings)
	}))
}

// runRestore hands over to the use case.
func (s *session) runRestore(_ context.Context, _ restoreSettings) error {
	return notBuiltIn("The command restore")
}

func (s *session) restoreSettings(r *request) (restoreSettings, error) {
	cfg := r.Config
	if cfg.PGData == "" {
		return restoreSettings{}, usererr.New("required parameter not specified: PGDATA (-D, --pgdata)")
	}
	if remoteWanted(cfg) {
		return restoreSettings{}, notBuiltIn("Remote mode (--remote-host)")
	}
	if r.Incremental != incrementalNone {
		return restoreSettings{}, notBuiltIn("Incremental restore (--incremental-mode)")
	}
	command := cfg.RestoreCommand
	if command == "none" {
		command = ""
	}
	return restoreSettings{
		Catalog: r.Catalog, Instance: r.Instance, Config: cfg,
		ID: r.ID, PGData: cfg.PGData, Target: r.Recovery, RestoreCommand: command,
		Incremental: r.Incremental,
		Tablespaces: r.TablespaceMap, ExternalDirs: r.ExternalMap, SkipExternal: r.SkipExternalDirs,
		Force: r.Force, Sync: !r.NoSync, Validate: !r.NoValidate,
		SkipBlockValidation: r.SkipBlockValidation, Threads: r.threads(),
	}, nil
}
