package cli

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"gsprobackup/internal/catalog/keyfile"
	"gsprobackup/internal/compress"
	"gsprobackup/internal/logging"
	"gsprobackup/internal/usererr"
)

// setConfigCommand stores the instance options given on the command line
// together with those of the file.
func setConfigCommand(s *session) *cobra.Command {
	rules := commandRules{name: "set-config", logged: true, loneLevel: true}
	return newCommand("set-config", "change the settings of an instance", s.command(rules, func(_ context.Context, r *request) error {
		if r.Config.CompressLevel != 1 && r.Config.CompressAlgorithm == compress.Undefined {
			// Accepted for scripts that set the algorithm next; the C
			// tool says nothing and then refuses every other command.
			s.log.Log(logging.Warning, "compress-level is of no use until compress-algorithm is set too")
		}
		return storable(r.instance.SaveConfig(r.Config))
	}))
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
