package cli

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"gsprobackup/internal/fsx"
	"gsprobackup/internal/remote/agent"
	"gsprobackup/internal/remote/sshlink"
	"gsprobackup/test/agenttest"
)

// farWorld gives a world a remote host: this program, started as its agent.
func (w *world) farWorld(commands *[]string, asked *sshlink.Options) {
	w.link = func(o sshlink.Options) (agent.Link, error) {
		*asked = o
		return &agenttest.Pipe{Serve: func(_ context.Context, in io.Reader, out io.Writer, command string) error {
			*commands = append(*commands, command)
			var stderr bytes.Buffer
			env := Env{LookupEnv: func(string) (string, bool) { return "", false }, FS: fsx.OS(), CPUs: 1}
			if exit := Run([]string{"gs_probackup", "agent"}, Streams{In: in, Out: out, Err: &stderr}, env); exit != 0 {
				return errors.New(stderr.String())
			}
			return nil
		}}, nil
	}
}

// add-instance reads pg_control there, and stores no remote option, as C.
func TestAddInstanceRemotely(t *testing.T) {
	w := newWorld(t)
	var commands []string
	var asked sshlink.Options
	w.farWorld(&commands, &asked)
	w.stage("pgdata", home+"/far/data")
	run := func(args string) result { return w.run(strings.Fields(args), map[string]string{}) }
	if r := run("init -B /home/omm/b"); r.exit != 0 {
		t.Fatalf("%+v", r)
	}
	r := run("add-instance -B /home/omm/b --instance n1 -D /home/omm/far/data --remote-host db1 --remote-port 22022 --remote-user omm " +
		"--remote-path /opt/far --remote-libpath /opt/lib --ssh-options=-q --ssh-config /cfg")
	if r.exit != 0 || !strings.HasSuffix(r.stderr, "INFO: Instance 'n1' successfully inited\n") {
		t.Fatalf("%+v", r)
	}
	if want := "export LD_LIBRARY_PATH=/opt/lib && /opt/far/gs_probackup agent"; len(commands) != 1 || commands[0] != want {
		t.Errorf("started %q, want %q", commands, want)
	}
	if asked.Host != "db1" || asked.Port != "22022" || asked.User != "omm" || asked.SSHOptions != "-q" || asked.ConfigFile != "/cfg" {
		t.Errorf("asked for %+v", asked)
	}
	conf := w.read(home + "/b/backups/n1/pg_probackup.conf")
	if !strings.Contains(conf, "system-identifier = ") || strings.Contains(conf, "remote") || strings.Contains(conf, "ssh") {
		t.Errorf("stored:\n%s", conf)
	}
	// Without a pg_control there the text is the same as here.
	for _, where := range []string{"--remote-host db1", "--remote-proto none --remote-host db1", ""} {
		r := run("add-instance -B /home/omm/b --instance n2 -D /home/omm/nowhere " + where)
		const want = "ERROR: Could not open file \"/home/omm/nowhere/global/pg_control\" for reading: No such file or directory\n"
		if r.exit != 1 || r.stderr != want {
			t.Errorf("%s: %+v", where, r)
		}
	}
}

// An agent behind a forced command serves what that names, nothing else.
func TestAgentOptions(t *testing.T) {
	for _, tt := range []struct {
		args, original, err string
	}{
		{"", "", "Communication error: end of data"},
		{"2.4.2", "", "Communication error: end of data"},
		{"2.4.3", "", "Version mismatch, gs_probackup binary with version '2.4.2' is launched as an agent for gs_probackup binary with version '2.4.3'"},
		{"--read-only -D /data -E /a:/b", "/opt/gs_probackup agent", "Communication error: end of data"},
		{"--read-only -D /data", "export LD_LIBRARY_PATH=/l && /opt/gs_probackup agent", "Communication error: end of data"},
		{"--read-only", "scp -t /", "This key is for backups only: the remote host runs the agent of gs_probackup, not \"scp -t /\""},
		{"-D /data", "agent", "This key is for backups only: the remote host runs the agent of gs_probackup, not \"agent\""},
		{"", "scp -t /", "Communication error: end of data"},
		{"-D data", "", "The agent serves absolute paths only, not \"data\""},
		{"-E /a:b", "", "The agent serves absolute paths only, not \"b\""},
	} {
		w := newWorld(t)
		env := map[string]string{}
		if tt.original != "" {
			env["SSH_ORIGINAL_COMMAND"] = tt.original
		}
		r := w.run(append([]string{"agent"}, strings.Fields(tt.args)...), env)
		if r.exit != 1 || r.stdout != "" || r.stderr != "ERROR: "+tt.err+"\n" {
			t.Errorf("agent %s for %q: %+v", tt.args, tt.original, r)
		}
	}
}

// --limit-rate is stored where the C tool does not stumble over it.
func TestLimitRateIsStored(t *testing.T) {
	w := newWorld(t)
	w.stage("pgdata", home+"/data")
	run := func(args string) result { return w.run(strings.Fields(args), map[string]string{}) }
	for _, args := range []string{
		"init -B /home/omm/b", "add-instance -B /home/omm/b --instance n1 -D /home/omm/data",
		"set-config -B /home/omm/b --instance n1 --limit-rate=20MB", "set-config -B /home/omm/b --instance n1 --retention-window=3",
	} {
		if r := run(args); r.exit != 0 {
			t.Fatalf("%s: %+v", args, r)
		}
	}
	const conf = home + "/b/backups/n1/pg_probackup.conf"
	if got := w.read(conf); !strings.HasSuffix(got, "# Extension parameters\n#+ limit-rate = 20MB\n") {
		t.Errorf("stored:\n%s", got)
	}
	if r := run("show-config -B /home/omm/b --instance n1"); !strings.HasSuffix(r.stdout, "# Extension parameters\nlimit-rate = 20MB\n") {
		t.Errorf("shown: %+v", r)
	}
	if r := run("set-config -B /home/omm/b --instance n1 --limit-rate=-5"); r.exit != 1 {
		t.Errorf("negative: %+v", r)
	}
	run("set-config -B /home/omm/b --instance n1 --limit-rate=0")
	if got := w.read(conf); strings.Contains(got, "limit") {
		t.Errorf("lifted:\n%s", got)
	}
}
