package cli

import (
	"context"
	"path"

	"github.com/spf13/cobra"

	"gsprobackup/internal/catalog"
	"gsprobackup/internal/usererr"
)

// setConfigCommand stores the instance options given on the command line
// together with those of the file.
func setConfigCommand(s *session) *cobra.Command {
	rules := commandRules{name: "set-config", logged: true, loneLevel: true}
	return newCommand("set-config", "change the settings of an instance", s.command(rules, func(_ context.Context, r *request) error {
		if err := checkExternals(r.Config); err != nil {
			return err
		}
		return r.instance.SaveConfig(r.Config)
	}))
}

// checkExternals refuses relative external directories when they are set. The
// C tool stores them and every backup fails (spec/cli.md §13 row 14).
func checkExternals(cfg *catalog.Config) error {
	if cfg.Source(catalog.FindConfigOption("external-dirs")) != catalog.FromCommandLine {
		return nil
	}
	for _, dir := range catalog.SplitExternals(externalDirs(cfg)) {
		if !path.IsAbs(dir) {
			return usererr.New("External directory \"%s\" is not an absolute path", dir)
		}
	}
	return nil
}
