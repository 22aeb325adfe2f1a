package agent_test

import (
	"context"
	"os"
	"os/exec"
	"testing"

	"gsprobackup/internal/remote/agent"
	"gsprobackup/test/agenttest"
)

// serveVar makes the test binary an agent.
const serveVar = "AGENT_TEST_SERVE"

func TestMain(m *testing.M) {
	if os.Getenv(serveVar) == "" {
		os.Exit(m.Run())
	}
	if err := agent.Serve(context.Background(), os.Stdin, os.Stdout, agent.ServeOptions{Program: program}); err != nil {
		os.Exit(1)
	}
}

// An agent that is a process of its own ends with its client's work, and
// status 0; one that is killed is told from one that ended.
func TestProcess(t *testing.T) {
	t.Parallel()
	ctx, dir := context.Background(), t.TempDir()
	link := &agenttest.Exec{Prepare: func(cmd *exec.Cmd) { cmd.Env = append(os.Environ(), serveVar+"=1") }}
	open := agent.ConnectOptions{Command: os.Args[0], Program: program, Where: "far", Channels: 1}
	host, err := agent.Connect(ctx, link, open)
	if err != nil {
		t.Fatal(err)
	}
	if err := host.Admit(ctx, dir); err != nil {
		t.Error(err)
	}
	if _, err := host.Stat(ctx, dir); err != nil {
		t.Error(err)
	}
	if err := host.Close(); err != nil {
		t.Error(err)
	}
	if err := link.Processes()[0].Wait(); err != nil {
		t.Errorf("the agent %v", err)
	}
	if host, err = agent.Connect(ctx, link, open); err != nil {
		t.Fatal(err)
	}
	if err := link.Processes()[1].Kill(); err != nil {
		t.Error(err)
	}
	_, err = host.Stat(ctx, dir)
	lost(t, err, "Communication error: the agent on far killed by signal ")
	if err := host.Close(); err != nil {
		t.Error(err)
	}
}
