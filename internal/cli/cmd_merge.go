package cli

import (
	"context"

	"github.com/spf13/cobra"

	"gsprobackup/internal/catalog"
	"gsprobackup/internal/merge"
	"gsprobackup/internal/usererr"
)

func mergeCommand(s *session) *cobra.Command {
	rules := commandRules{name: "merge", takesID: true, logged: true, acts: true}
	return newCommand("merge", "merge increments into their full backup", s.command(rules, func(ctx context.Context, r *request) error {
		if r.ID == 0 {
			return usererr.New("required parameter is not specified: --backup-id")
		}
		return merge.Run(ctx, s.mergeDeps(r.instance), merge.Options{ID: r.ID, Threads: r.threads()})
	}))
}

func (s *session) mergeDeps(instance *catalog.Instance) merge.Deps {
	return merge.Deps{FS: s.env.FS, Instance: instance, Sink: s.console, Now: s.env.Now}
}
