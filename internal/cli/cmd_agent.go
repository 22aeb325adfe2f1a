package cli

import (
	"context"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"gsprobackup/internal/catalog"
	"gsprobackup/internal/optvalue"
	"gsprobackup/internal/remote/agent"
	"gsprobackup/internal/usererr"
)

// agentCommand is the hidden remote side of ssh mode. Its first argument may
// be the version of the program that started it. Options are ours, for a
// forced command in authorized_keys (docs/remote.md).
func agentCommand(s *session) *cobra.Command {
	c := newCommand("agent", "serve a gs_probackup on another host", func(ctx context.Context, args []string) error {
		if len(args) > 0 && !strings.HasPrefix(args[0], "-") && args[0] != programVersion {
			return usererr.New("Version mismatch, gs_probackup binary with version '%s' is launched as an agent for gs_probackup binary with version '%s'", programVersion, args[0])
		}
		opts, err := s.agentOptions(args)
		if err != nil {
			return err
		}
		if err := s.checkForced(opts); err != nil {
			return err
		}
		return agent.Serve(ctx, s.streams.In, s.streams.Out, opts)
	})
	c.Hidden = true
	return c
}

// The options of agent.
const (
	agentReadOnly = iota
	agentData
	agentExternal
)

func (s *session) agentOptions(args []string) (agent.ServeOptions, error) {
	opts := agent.ServeOptions{Program: s.agentVersion()}
	g := &grammar{prog: s.args[0], names: []optionName{
		{long: "read-only", id: agentReadOnly},
		{long: "pgdata", short: 'D', arg: true, id: agentData},
		{long: "external-dirs", short: 'E', arg: true, id: agentExternal},
	}}
	err := g.scan(args, func(w word) error {
		if w.id == agentReadOnly {
			opts.ReadOnly = true
			return nil
		}
		list, err := optvalue.ParseString(w.value)
		if err != nil {
			return err
		}
		dirs := []string{list}
		if w.id == agentExternal {
			dirs = catalog.SplitExternals(list)
		}
		for _, d := range dirs {
			if !filepath.IsAbs(d) {
				return usererr.New("The agent serves absolute paths only, not \"%s\"", d)
			}
		}
		opts.Dirs = append(opts.Dirs, dirs...)
		return nil
	})
	return opts, err
}

// checkForced refuses to be anything else than what the client wanted to
// start, when sshd runs this instead of the client's command.
func (s *session) checkForced(opts agent.ServeOptions) error {
	wanted, forced := s.env.LookupEnv("SSH_ORIGINAL_COMMAND")
	if !forced || !opts.ReadOnly && opts.Dirs == nil {
		return nil
	}
	words := strings.Fields(wanted)
	if n := len(words); n < 2 || words[n-1] != "agent" {
		return usererr.New("This key is for backups only: the remote host runs the agent of gs_probackup, not \"%s\"", wanted)
	}
	return nil
}
