package cli

import (
	"context"
	"path/filepath"

	"github.com/spf13/cobra"

	"gsprobackup/internal/pgdata"
	"gsprobackup/internal/remote"
	"gsprobackup/internal/usererr"
)

func addInstanceCommand(s *session) *cobra.Command {
	rules := commandRules{name: "add-instance", creates: true, skipsConfig: true, needsDSS: true}
	return newCommand("add-instance", "register an instance", s.command(rules, func(ctx context.Context, r *request) error {
		return s.addInstance(ctx, r)
	}))
}

func (s *session) addInstance(ctx context.Context, r *request) error {
	cfg := r.Config
	if cfg.PGData == "" {
		return usererr.New("Required parameter not specified: PGDATA (-D, --pgdata)")
	}
	if err := checkExternals(cfg); err != nil {
		return err
	}
	var control *pgdata.Control
	err := s.withDataHost(ctx, r, func(ctx context.Context, host remote.Host) (err error) {
		control, err = readControl(ctx, host, cfg.PGData)
		return err
	})
	if err != nil {
		return err
	}
	cfg.SetSystemIdentifier(control.SystemID)
	// Where to reach the host and the object storage is set-config's.
	cfg.ForgetRemoteAndS3()
	if _, err := s.openCatalog(r.Catalog).AddInstance(ctx, r.Instance, cfg); err != nil {
		return err
	}
	s.console.info("Instance '%s' successfully inited", r.Instance)
	return nil
}

// readControl reads pg_control of a data directory.
func readControl(ctx context.Context, host remote.Host, dataDir string) (*pgdata.Control, error) {
	path := filepath.Join(dataDir, pgdata.ControlPath)
	if err := host.Admit(ctx, dataDir); err != nil {
		return nil, err
	}
	data, err := host.ReadFile(ctx, path, pgdata.ControlFileSize)
	if err != nil {
		return nil, usererr.Wrap(err, "Could not open file \"%s\" for reading: %s", path, usererr.SystemText(err))
	}
	return pgdata.ParseControl(data)
}
