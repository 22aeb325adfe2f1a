package cli

import (
	"context"
	"errors"
	"path"

	"github.com/spf13/cobra"

	"gsprobackup/internal/catalog"
	"gsprobackup/internal/catalog/keyfile"
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
		return storable(r.instance.SaveConfig(r.Config))
	}))
}

// checkExternals refuses relative external directories when they are set. The
// C tool stores them and every backup fails (spec/cli.md §13 row 14).
func checkExternals(cfg *catalog.Config) error {
	if cfg.Source(catalog.FindConfigOption("external-dirs")) != catalog.FromCommandLine {
		return nil
	}
	for _, dir := range splitDirs(externalDirs(cfg)) {
		if !path.IsAbs(dir) {
			return usererr.New("External directory \"%s\" is not an absolute path", dir)
		}
	}
	return nil
}

// storable gives a value that no file can hold its own words. The C tool
// stores such values and cannot read the file again (spec/cli.md §13 row 1).
func storable(err error) error {
	var bad *keyfile.ValueError
	if errors.As(err, &bad) {
		return usererr.Wrap(err, "Cannot store value of option --%s: %s", bad.Key, bad.Reason)
	}
	return err
}
