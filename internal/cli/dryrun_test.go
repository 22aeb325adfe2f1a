package cli

import (
	"bytes"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"gsprobackup/test/golden"
)

// restoreStage is a machine with a small catalog.
type restoreStage struct {
	t *testing.T
	m golden.Machine
}

func (s *restoreStage) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *restoreStage) play(command string) result {
	var out, errOut bytes.Buffer
	env := map[string]string{"PGDATA": "/home/omm/data"}
	exit := Run(strings.Fields(command), Streams{In: strings.NewReader(""), Out: &out, Err: &errOut}, Env{
		LookupEnv: func(name string) (string, bool) { v, ok := env[name]; return v, ok },
		Now:       func() time.Time { return time.Date(2026, 11, 22, 9, 30, 0, 0, time.UTC) }, Location: time.UTC,
		UserName: func() string { return "omm" }, CPUs: 4, PID: 4711, FS: s.m.FS(),
	})
	return result{exit: exit, stdout: out.String(), stderr: errOut.String()}
}

// What restore --dry-run prints, over nothing and over a cluster.
func TestDryRunOfRestore(t *testing.T) {
	m, c := golden.Start(t, golden.Zlib)
	s := &restoreStage{t, m}
	conf := m.Path(c.Dir + "/backups/" + c.Instance + "/pg_probackup.conf")
	text, err := os.ReadFile(conf)
	s.must(err)
	s.must(os.WriteFile(conf, regexp.MustCompile(`(?m)^log-.*\n`).ReplaceAll(text, nil), 0o600))
	const command = "gs_probackup restore -B /home/omm/backups_z --instance n1 -D /home/omm/restored" +
		" -T /home/omm/ts1=/home/omm/ts1_r --external-mapping=/home/omm/ext1=/home/omm/ext1_r"
	for _, tt := range []struct{ name, restore, extra string }{
		{"anew", "", " -i TOWA5D"},
		{"over", " -i TOWA57 --no-validate --no-sync", " -i TOWA5I -I checksum"},
	} {
		if tt.restore != "" {
			if got := s.play(command + tt.restore); got.exit != 0 {
				t.Fatalf("exit %d: %s", got.exit, got.stderr)
			}
			s.must(os.WriteFile(m.Path("/home/omm/restored/base/16384/junk"), nil, 0o600))
		}
		got := s.play(command + tt.extra + " --dry-run")
		name := "testdata/restore/dryrun_" + tt.name + ".txt"
		want, err := os.ReadFile(name)
		s.must(err)
		free := regexp.MustCompile(`(?m)^( /home/omm/restored +\S+) +\S+ +enough *$`)
		header := regexp.MustCompile(`(?m)^( File System Of.*Needed) +Free +Space *\n=+$`)
		text := header.ReplaceAllString(free.ReplaceAllString(got.stdout, "$1 FREE enough"), "$1 Free Space")
		text = regexp.MustCompile(`(?m)^=+\n File System`).ReplaceAllString(text, " File System")
		if got.exit != 0 || text != string(want) {
			t.Errorf("%s: exit %d, stderr %s", name, got.exit, got.stderr)
			diffLines(t, "stdout", text, string(want))
		}
	}
}
