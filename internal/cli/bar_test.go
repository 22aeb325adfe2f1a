package cli

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"gsprobackup/internal/compat"
)

// The recorded bytes of openGauss 6.0.2 (golden 17_standby_and_misc).
func TestBar(t *testing.T) {
	var out bytes.Buffer
	now := time.Unix(0, 0)
	c := &console{screen: &screen{out: &out}, profile: compat.Profile{Bars: true}, env: Env{Now: func() time.Time { return now }}}
	c.updateBar(tailBackup, 1, 2, 0) // before its phase: nothing
	c.startBar(tailBackup, 2650, 0)
	c.updateBar(tailBackup, 50, 2650, 0)
	c.updateBar(tailBackup, 60, 2650, 0) // too early
	now = now.Add(time.Second)
	c.updateBar(tailBackup, 2648, 2650, 0)
	c.updateBar(tailBackup, 2650, 2650, 0)
	c.finishBar(tailBackup)
	c.finishBar(tailBackup)
	c.startBar(tailSyncBackup, 0, 0)
	c.finishBar(tailSyncBackup)
	want := "Progress: [" + strings.Repeat(" ", 50) + "] 1% (50/2650, done_files/total_files). backup file \r" +
		"Progress: [" + strings.Repeat("=", 49) + " ] 99% (2648/2650, done_files/total_files). backup file \r" +
		"Progress: [" + strings.Repeat("=", 50) + "] 100% (2650/2650, done_files/total_files). backup file \n" +
		"Progress: [" + strings.Repeat("=", 50) + "] 100% (0/0, done_files/total_files). Sync backup file \n"
	if out.String() != want {
		t.Errorf("got  %q\nwant %q", out.String(), want)
	}
	out.Reset()
	c.profile.Bars = false
	c.startBar(tailBackup, 2, 0)
	c.updateBar(tailBackup, 1, 2, 0)
	c.finishBar(tailBackup)
	if out.Len() != 0 {
		t.Errorf("a release without bars drew %q", out.String())
	}
}

// Each phase of a command counts anew: the C tool's bars go on where a merge has
// left them, to 195 and 293 % (spec/formats.md §14 row 16).
func TestBarCountsAnew(t *testing.T) {
	var out bytes.Buffer
	c := &console{screen: &screen{out: &out}, profile: compat.Profile{Bars: true}, env: Env{Now: func() time.Time { return time.Unix(0, 0) }}}
	for _, files := range []int{40, 3, 3} { // merge, validation, of two backups
		c.startBar(tailBackup, files, 0)
		for i := range files {
			c.updateBar(tailBackup, i+1, files, 0)
		}
		c.finishBar(tailBackup)
	}
	if n := strings.Count(out.String(), "] 100% ("); n != 3 || strings.Contains(out.String(), "(43/") {
		t.Errorf("%d bars end at 100%%: %q", n, out.String())
	}
}

// A bar never reaches the last column, whatever the width, and says what there
// is room for.
func TestBarFits(t *testing.T) {
	p := progress{done: 50, total: 2650, bytes: 3 << 30, totalBytes: 4 << 30}
	pace := p.pace(90 * time.Second)
	if pace != "34MB/s, ETA 30s" {
		t.Errorf("pace %q", pace)
	}
	for _, tt := range []struct {
		columns int
		want    string
	}{
		{0, "Progress: [" + strings.Repeat(" ", 50) + "] 1% (50/2650, done_files/total_files). backup file "},
		{200, "Progress: [" + strings.Repeat(" ", 50) + "] 1% (50/2650, done_files/total_files). backup file  34MB/s, ETA 30s"},
		{80, "Progress: [" + strings.Repeat(" ", 26) + "] 1% (50/2650) backup file 34MB/s, ETA 30s"},
		{40, "1% (50/2650) backup file 34MB/s, ETA 30"},
		{10, "1% (50/26"},
		{1, ""},
	} {
		if got := p.fit(tt.columns, "done_files", tailBackup, pace); got != tt.want {
			t.Errorf("%d columns: got %q, want %q", tt.columns, got, tt.want)
		}
	}
	for columns := 1; columns < 220; columns++ {
		for _, done := range []int{0, 1, 1300, 2650, 5000} {
			p.done = done
			if line := p.fit(columns, "sync_files", tailSyncRestore, pace); len(line) >= columns {
				t.Errorf("%d columns: %q", columns, line)
			}
		}
	}
}

func TestPace(t *testing.T) {
	for _, tt := range []struct {
		p       progress
		elapsed time.Duration
		want    string
	}{
		{progress{done: 1, total: 2}, time.Second - 1, ""},
		{progress{total: 2}, time.Minute, ""},
		{progress{done: 100, total: 400}, 10 * time.Second, "10 files/s, ETA 30s"},
		{progress{done: 1, total: 400, bytes: 1 << 30, totalBytes: 3 << 30}, 10 * time.Second, "102MB/s, ETA 20s"},
		{progress{done: 2, total: 400, totalBytes: 3 << 30}, 10 * time.Second, "0 files/s, ETA 33m:10s"},
		{progress{done: 1, total: 2, bytes: 2, totalBytes: 1}, 10 * time.Second, "0/s, ETA 0"},
		{progress{done: 1, total: 1 << 40, bytes: 1, totalBytes: 1 << 60}, time.Hour, "0/s, ETA 100d:0h"},
	} {
		if got := tt.p.pace(tt.elapsed); got != tt.want {
			t.Errorf("%+v after %v: got %q, want %q", tt.p, tt.elapsed, got, tt.want)
		}
	}
}

// Messages between bars of one terminal begin in an empty line.
func TestMessagesBesideABar(t *testing.T) {
	var terminal bytes.Buffer
	env := OSEnv()
	env.ErrTerminal, env.OutWidth = true, func() int { return 30 }
	s := newSession([]string{"gs_probackup"}, Streams{In: strings.NewReader(""), Out: &terminal, Err: &terminal}, env)
	s.profile = compat.Profile{Bars: true}
	s.console = newConsole(s)
	s.console.startBar(tailBackup, 4, 0)
	s.console.updateBar(tailBackup, 1, 4, 0)
	s.console.info("first")
	s.console.info("second")
	s.console.bar.drawn = time.Time{}
	s.console.updateBar(tailBackup, 2, 4, 0)
	s.close()
	want := "25% (1/4) backup file\x1b[K\r" + "\r\x1b[KINFO: first\n" + "INFO: second\n" + "50% (2/4) backup file\x1b[K\r" + "\r\x1b[K"
	if got := terminal.String(); got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// The receiver's 100 blanks are for scripts only.
func TestReceiverLineOnATerminal(t *testing.T) {
	for _, terminal := range []bool{false, true} {
		var errs bytes.Buffer
		env := OSEnv()
		env.ErrTerminal = terminal
		s := newSession([]string{"gs_probackup"}, Streams{In: strings.NewReader(""), Out: &errs, Err: &errs}, env)
		s.console = newConsole(s)
		s.console.receiverLine("keepalive message is received")
		want := strings.Repeat(" ", 100) + "\r keepalive message is received\n"
		if terminal {
			want = " keepalive message is received\n"
		}
		if got := errs.String(); got != want {
			t.Errorf("terminal %t: got %q", terminal, got)
		}
	}
}
