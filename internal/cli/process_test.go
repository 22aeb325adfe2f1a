package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/creack/pty"

	"gsprobackup/test/pgserver"
)

// The test binary plays the tool when this variable is set: some things are
// only true of a whole process.
const playTool = "GS_PROBACKUP_TEST_PLAY"

func TestMain(m *testing.M) {
	switch os.Getenv(playTool) {
	case "":
		os.Exit(pgserver.RunClean(m))
	case "cmdline": // run, then show what ps would see
		code := Run(os.Args, OSStreams(), OSEnv())
		seen, err := os.ReadFile("/proc/self/cmdline")
		if err != nil {
			fmt.Println(err)
			code = 99
		}
		os.Stdout.Write(seen)
		os.Exit(code)
	case "prompt": // ask for a password on the terminal
		s := newSession(os.Args, OSStreams(), OSEnv())
		answer, err := s.promptPassword(context.Background(), "Password: ")
		fmt.Printf("answer %q, %v\n", answer, err)
	default:
		os.Exit(Run(os.Args, OSStreams(), OSEnv()))
	}
}

func tool(mode string, args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), playTool+"="+mode)
	return cmd
}

func TestSecretsLeaveTheProcessList(t *testing.T) {
	for _, tt := range []struct {
		args []string
		want string // after the program
	}{
		{[]string{"show", "-W", "geheim", "-B", "/nowhere"}, "show\x00-W\x00*\x00\x00\x00\x00\x00\x00-B\x00/nowhere\x00"},
		{[]string{"show", "-CWgeheim", "-B", "/nowhere"}, "show\x00-CW*\x00\x00\x00\x00\x00\x00-B\x00/nowhere\x00"},
		{[]string{"show", "--passw=geheim", "-B", "/nowhere"}, "show\x00--passw=*\x00\x00\x00\x00\x00\x00-B\x00/nowhere\x00"},
		{[]string{"show", "--access-key", "geheim", "--foo"}, "show\x00--access-key\x00*\x00\x00\x00\x00\x00\x00--foo\x00"},
	} {
		out, _ := tool("cmdline", tt.args...).Output()
		_, got, _ := strings.Cut(string(out), "\x00")
		if got != tt.want {
			t.Errorf("%q: process list has %q, want %q", tt.args, got, tt.want)
		}
	}
}

func TestSecretsLeaveTheCommandRecord(t *testing.T) {
	w := newWorld(t)
	w.stage("unpack", "02_backups", home+"/b")
	for _, args := range [][]string{{"-W", "geheim"}, {"-CWgeheim"}, {"--passw=geheim"}, {"--access-key=geheim"}} {
		args = append([]string{"restore", "-B", home + "/b", "--instance=n1", "--log-level-file=info"}, args...)
		w.run(args, nil)
	}
	log := w.read(home + "/b/log/pg_probackup.log")
	if strings.Contains(log, "geheim") || strings.Count(log, "INFO: command: /opt/ogfull/bin/gs_probackup restore -B ") != 4 {
		t.Errorf("log file:\n%s", log)
	}
}

func TestVersionEndsInBlank(t *testing.T) {
	out, err := tool("run", "--version", "ignored").Output()
	if err != nil || !bytes.HasPrefix(out, []byte("gs_probackup (openGauss 6.0.2 build ")) || !bytes.HasSuffix(out, []byte(" commit 0 last mr \n")) {
		t.Errorf("got %q, %v", out, err)
	}
}

// fakeTerminal answers a prompt, or hangs. Its buffer is what is shown.
type fakeTerminal struct {
	shown  bytes.Buffer
	answer io.Reader
	state  string // what was done, in order
}

func (f *fakeTerminal) Read(p []byte) (int, error) { return f.answer.Read(p) }

func (f *fakeTerminal) Write(p []byte) (int, error) {
	f.state += "write "
	return f.shown.Write(p)
}
func (f *fakeTerminal) HideInput() error { f.state += "hide "; return nil }
func (f *fakeTerminal) Restore() error   { f.state += "restore "; return nil }
func (f *fakeTerminal) Close() error     { f.state += "close "; return nil }

func TestPasswordPrompt(t *testing.T) {
	for _, tt := range []struct {
		name         string
		tty          *fakeTerminal
		stdin        string
		want, stderr string
	}{
		{name: "terminal", tty: &fakeTerminal{answer: strings.NewReader("geheim\n")}, stdin: "wrong\n", want: "geheim"},
		{name: "terminal, ^D", tty: &fakeTerminal{answer: strings.NewReader("")}, want: ""},
		{name: "too long", tty: &fakeTerminal{answer: strings.NewReader(strings.Repeat("x", 101) + "\n")}, want: strings.Repeat("x", 100)},
		{name: "no terminal", stdin: "geheim\r\nmore\n", want: "geheim", stderr: "Password: \n"},
		{name: "no terminal, end of input", stdin: "", want: "", stderr: "Password: \n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var stderr bytes.Buffer
			env := OSEnv()
			env.OpenTerminal = func() (Terminal, error) {
				if tt.tty == nil {
					return nil, errors.New("no terminal")
				}
				return tt.tty, nil
			}
			s := newSession([]string{"x"}, Streams{In: strings.NewReader(tt.stdin), Err: &stderr}, env)
			got, err := s.promptPassword(context.Background(), "Password: ")
			if err != nil || got != tt.want || stderr.String() != tt.stderr {
				t.Errorf("got %q, %v, stderr %q", got, err, stderr.String())
			}
			if tt.tty != nil && (tt.tty.shown.String() != "Password: \n" || tt.tty.state != "hide write restore write close ") {
				t.Errorf("terminal shows %q; %s", tt.tty.shown.String(), tt.tty.state)
			}
		})
	}
}

// On a real terminal: nothing typed is echoed.
func TestPasswordOnATerminal(t *testing.T) {
	cmd := tool("prompt")
	terminal, err := pty.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	defer terminal.Close()
	var seen strings.Builder
	buf := make([]byte, 256)
	for !strings.Contains(seen.String(), "Password: ") {
		n, err := terminal.Read(buf)
		if err != nil {
			t.Fatalf("%v after %q", err, seen.String())
		}
		seen.Write(buf[:n])
	}
	if _, err := io.WriteString(terminal, "geheim\n"); err != nil {
		t.Fatal(err)
	}
	for { // ends with an error when the process has gone
		n, err := terminal.Read(buf)
		seen.Write(buf[:n])
		if err != nil {
			break
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if got, want := seen.String(), "Password: \r\nanswer \"geheim\", <nil>\r\n"; got != want {
		t.Errorf("terminal shows %q, want %q", got, want)
	}
}

func TestPasswordPromptInterrupted(t *testing.T) {
	hang, release := io.Pipe()
	defer release.Close()
	tty := &fakeTerminal{answer: hang}
	env := OSEnv()
	env.OpenTerminal = func() (Terminal, error) { return tty, nil }
	s := newSession([]string{"x"}, Streams{In: strings.NewReader("")}, env)
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(ErrInterrupted)
	if _, err := s.promptPassword(ctx, "Password: "); !errors.Is(err, ErrInterrupted) || tty.state != "hide write restore close " {
		t.Errorf("got %v; %s", err, tty.state)
	}
}
