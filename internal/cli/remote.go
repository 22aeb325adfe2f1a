package cli

import (
	"context"
	"fmt"
	"time"

	"gsprobackup/internal/catalog"
	"gsprobackup/internal/remote"
	"gsprobackup/internal/remote/agent"
	"gsprobackup/internal/remote/sshlink"
)

// remoteWanted is the C tool's rule for remote mode (spec/cli.md §3.2).
func remoteWanted(cfg *catalog.Config) bool {
	return cfg.RemoteHost != "" && cfg.RemoteProto == "ssh"
}

// maxChannels is how many agents are started at most. Each has a window of
// about 2 MB in ssh, which is 300 Mbit/s at a round trip of 50 ms.
const maxChannels = 4

// withDataHost runs work on the host of the data directory: this machine, or
// the one of --remote-host. The connection is made before and ended after, so
// what is wrong with it is told before anything has begun.
func (s *session) withDataHost(ctx context.Context, r *request, work func(context.Context, remote.Host) error) error {
	host := remote.Local(s.env.FS)
	if remoteWanted(r.Config) {
		var err error
		if host, err = s.connectAgent(ctx, r); err != nil {
			return err
		}
		// The work is done or has failed; how the agent ends changes
		// nothing of that.
		defer func() {
			if err := host.Close(); err != nil {
				s.console.warn("%v", err)
			}
		}()
	}
	limit := remote.NewLimiter(r.Config.LimitRate)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if r.instance != nil {
		go s.followLimit(ctx, r, limit)
	}
	return work(ctx, remote.Limited(host, limit))
}

func (s *session) connectAgent(ctx context.Context, r *request) (remote.Host, error) {
	cfg := r.Config
	link, err := s.env.OpenLink(sshlink.Options{
		Host: cfg.RemoteHost, Port: cfg.RemotePort, User: cfg.RemoteUser,
		ConfigFile: cfg.SSHConfig, SSHOptions: cfg.SSHOptions,
		FS: s.env.FS, Events: s.console,
	})
	if err != nil {
		return nil, err
	}
	command := agent.Command{Program: s.args[0], Path: cfg.RemotePath, LibPath: cfg.RemoteLibpath}
	if r.RemoteDeploy {
		link, command, err = sshlink.Deploy(ctx, link, command, sshlink.DeployOptions{
			FS: s.env.FS, Events: s.console, Where: cfg.RemoteHost,
		})
		if err != nil {
			_ = link.Close() // it is the deployment that failed
			return nil, err
		}
	}
	return agent.Connect(ctx, link, agent.ConnectOptions{
		Command: command.String(), Program: s.agentVersion(), Where: cfg.RemoteHost,
		Channels: min(r.threads(), maxChannels), Events: s.console,
	})
}

// agentVersion tells this program from the C tool, whose version number is the
// same.
func (s *session) agentVersion() string {
	return fmt.Sprintf("%s (Go, build %s)", programVersion, s.env.Build.Hash)
}

// limitEvery is how often a running command looks for a new --limit-rate.
const limitEvery = 2 * time.Second

// followLimit lets set-config change the limit of a running command.
func (s *session) followLimit(ctx context.Context, r *request, limit *remote.Limiter) {
	stored := func() (uint64, bool) {
		cfg := catalog.NewConfig()
		_, err := catalog.ReadConfig(s.env.FS, r.instance.ConfigPath(), cfg, func(catalog.UnknownOption) error { return nil })
		return cfg.LimitRate, err == nil
	}
	last, known := stored()
	t := time.NewTicker(limitEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		if now, ok := stored(); ok && (!known || now != last) {
			last, known = now, true
			limit.Set(now)
			s.console.limitChanged(now)
		}
	}
}
