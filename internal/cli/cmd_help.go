package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// helpCommand is "help [COMMAND]", also spelled --help and -?. Names it does
// not know are no error (spec/cli.md §1.1).
func helpCommand(s *session) *cobra.Command {
	return newCommand("help", "show help pages", func(_ context.Context, args []string) error {
		args = slices.DeleteFunc(args, func(a string) bool { return strings.HasPrefix(a, "--compat=") })
		if len(args) == 0 {
			return printGeneralHelp(s.streams.Out, s.progName(), s.profile)
		}
		return s.helpFor(args[0])
	})
}

// helpFor prints the page of a command, or says that there is none.
func (s *session) helpFor(command string) error {
	ok, err := printHelp(s.streams.Out, s.progName(), command, s.profile)
	if ok || err != nil {
		return err
	}
	switch command {
	case "--help", "help", "-?", "--version", "version", "-V":
		_, err = fmt.Fprintf(s.streams.Out, "No help page for \"%s\" command. Try gs_probackup help\n", command)
	default:
		_, err = fmt.Fprintf(s.streams.Out, "Unknown command \"%s\". Try gs_probackup help\n", command)
	}
	return err
}
