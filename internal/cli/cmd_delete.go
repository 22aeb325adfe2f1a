package cli

import (
	"context"

	"github.com/spf13/cobra"

	"gsprobackup/internal/catalog"
	"gsprobackup/internal/usererr"
)

func deleteCommand(s *session) *cobra.Command {
	rules := commandRules{name: "delete", takesID: true, logged: true}
	return newCommand("delete", "delete backups", s.command(rules, func(_ context.Context, r *request) error {
		if err := s.checkDelete(r); err != nil {
			return err
		}
		return notBuiltIn("The command delete")
	}))
}

// checkDelete applies the rules between delete's options (spec/cli.md §4.1).
func (s *session) checkDelete(r *request) error {
	retention := s.retentionSettings(r)
	conflict := ""
	switch {
	case r.ID == 0:
	case retention.Delete:
		conflict = "--delete-expired"
	case retention.Merge:
		conflict = "--merge-expired"
	case r.Status != "":
		conflict = "--status"
	}
	if conflict != "" {
		return usererr.New("You cannot specify %s and (-i, --backup-id) options together", conflict)
	}
	if r.ID == 0 && r.Status == "" && !retention.any() {
		return usererr.New("You must specify at least one of the delete options: --delete-expired |--delete-wal |--merge-expired |--status |(-i, --backup-id)")
	}
	if r.Status != "" {
		if _, ok := catalog.MatchStatus(r.Status); !ok {
			return usererr.New("Unknown value for '--status' option: '%s'", r.Status)
		}
	}
	return nil
}
