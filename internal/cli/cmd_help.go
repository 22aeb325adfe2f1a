package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// helpCommand is "help [COMMAND]", also spelled --help and -?. Names it does
// not know are no error (spec/cli.md §1.1).
func helpCommand(s *session) *cobra.Command {
	return newCommand("help", "show help pages", func(_ context.Context, args []string) error {
		args = withoutCompat(args)
		if len(args) == 0 {
			return printGeneralHelp(s.streams.Out, s.progName(), s.profile)
		}
		return s.helpFor(args[0])
	})
}

// withoutCompat is what compatOption leaves of the words.
func withoutCompat(args []string) (rest []string) {
	for i := 0; i < len(args); i++ {
		switch a := args[i]; {
		case a == "--compat":
			i++ // its value
		case !strings.HasPrefix(a, "--compat="):
			rest = append(rest, a)
		}
	}
	return rest
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
