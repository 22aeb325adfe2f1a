package cli

import (
	"context"
	"path/filepath"

	"github.com/spf13/cobra"

	"gsprobackup/internal/fsx"
	"gsprobackup/internal/pgdata"
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
	if remoteWanted(cfg) {
		return notBuiltIn("Remote mode (--remote-host)")
	}
	if err := checkExternals(cfg); err != nil {
		return err
	}
	control, err := readControl(s.env.FS, cfg.PGData)
	if err != nil {
		return err
	}
	cfg.SetSystemIdentifier(control.SystemID)
	// Where to reach the host and the object storage is set-config's.
	cfg.ForgetRemoteAndS3()
	if _, err := s.openCatalog(r.Catalog).AddInstance(ctx, r.Instance, cfg); err != nil {
		return storable(err)
	}
	s.console.info("Instance '%s' successfully inited", r.Instance)
	return nil
}

// readControl reads pg_control of a local data directory.
func readControl(fsys fsx.FS, dataDir string) (*pgdata.Control, error) {
	path := filepath.Join(dataDir, pgdata.ControlPath)
	data, err := fsx.ReadFile(fsys, path, pgdata.ControlFileSize)
	if err != nil {
		return nil, usererr.Wrap(err, "Could not open file \"%s\" for reading: %s", path, usererr.SystemText(err))
	}
	return pgdata.ParseControl(data)
}
