package opengaussd

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"gsprobackup/internal/wal"
	"gsprobackup/test/opengaussd/ogdata"
	"gsprobackup/test/opengaussd/ogwal"
)

// aftermath is what the cluster did after its backup, all of it archived:
//
//	segment 1  commit of xid+0 at 1 s (compact), restore point rp1 at 2 s,
//	           commit of xid+1 at 3 s (compact), abort of xid+2 at 4 s
//	segment 2  a change of xid+3, its commit at 10 s
type aftermath struct {
	*world
	id    string
	xid   uint64
	start time.Time
	at    []wal.LSN // of the six records
	last  wal.LSN   // the switch that ends segment 2
	end   wal.LSN
	first uint64 // number of segment 1
}

func newAftermath(t *testing.T) *aftermath {
	t.Helper()
	w := newWorld(t, ogdata.Options{NoDoubleWrite: true, NoRowCompressed: true}, Config{})
	w.init()
	a := &aftermath{world: w}
	a.id, _ = w.backup("FULL", "--no-validate")
	log := w.cluster.WAL()
	a.xid, a.start = w.cluster.NextXID(), time.Now().Add(time.Hour).Truncate(time.Second).UTC()
	a.first = wal.SegmentNumber(log.End(), ogwal.SegSize)
	second := func(n int) time.Time { return a.start.Add(time.Duration(n) * time.Second) }
	segments := [][]ogwal.Record{
		{ogwal.CompactCommit(a.xid, 1, second(1)), ogwal.RestorePoint(second(2), "rp1"), ogwal.CompactCommit(a.xid+1, 2, second(3)), ogwal.Abort(a.xid+2, second(4))},
		{ogwal.Noop(a.xid+3, make([]byte, 20000)), ogwal.Commit(a.xid+3, second(10))},
	}
	for _, records := range segments {
		for _, r := range records {
			at, _, err := log.Append(r)
			if err != nil {
				t.Fatal(err)
			}
			a.at = append(a.at, at)
		}
		var err error
		if a.last, err = log.Switch(); err != nil {
			t.Fatal(err)
		}
	}
	a.end = log.End()
	return a
}

// restoreTo is a restore beside the original.
func (a *aftermath) restoreTo(target string, more ...string) []string {
	args := []string{"restore", "-B", a.catalog, "--instance", "n1", "-D", target, "--no-sync", "-i", a.id}
	for _, ts := range a.cluster.Tablespaces() {
		if !strings.HasPrefix(ts.Target, a.cluster.Dir()) {
			args = append(args, "-T", ts.Target+"="+target+"-"+filepath.Base(ts.Target))
		}
	}
	return append(args, more...)
}

// archive pushes what the server has finished, as its archiver would.
func (a *aftermath) archive(more ...string) {
	a.t.Helper()
	entries, err := os.ReadDir(filepath.Join(a.cluster.Dir(), "pg_xlog"))
	if err != nil {
		a.t.Fatal(err)
	}
	for _, e := range entries {
		if _, segno, err := wal.ParseSegmentName(e.Name(), ogwal.SegSize); err == nil && segno < wal.SegmentNumber(a.end, ogwal.SegSize) {
			args := []string{"archive-push", "-B", a.catalog, "--instance", "n1",
				"--wal-file-path", filepath.Join(a.cluster.Dir(), "pg_xlog", e.Name()), "--wal-file-name", e.Name()}
			a.must(append(args, more...)...)
		}
	}
}

func (a *aftermath) stored(segment uint64) string {
	return filepath.Join(a.catalog, "wal", "n1", wal.SegmentName(1, a.first+segment-1, ogwal.SegSize))
}

func (a *aftermath) second(n int) string {
	return a.start.Add(time.Duration(n)*time.Second).Format("2006-01-02 15:04:05") + "+00"
}

// from is what a run said from a line on.
func from(r result, begin string) string {
	if i := strings.Index(r.err, begin); i >= 0 {
		return r.err[i:]
	}
	return r.err
}

// The lines are those of golden 07_archive_mode_pitr [020] to [028]; but commits
// of the compact form count (docs/deviations.md).
func TestTargets(t *testing.T) {
	t.Parallel()
	for _, more := range [][]string{nil, {"--compress"}} {
		a := newAftermath(t)
		a.archive(more...)
		opening := func(segments ...uint64) (text string) {
			for _, s := range segments {
				text += fmt.Sprintf("LOG: Thread [1]: Opening WAL segment \"%s\"\n", a.stored(s))
			}
			return text
		}
		reached := func(second int, xid uint64, at wal.LSN) string {
			return fmt.Sprintf("INFO: Backup validation completed successfully on time %s, xid %d and LSN %s\nINFO: Backup %s is valid.\nINFO: Validate of backup %s completed.\n",
				a.second(second), xid, at, a.id, a.id)
		}
		missed := opening(0, 1, 2) + fmt.Sprintf("WARNING: Thread [1]: Could not read WAL record at %s\nERROR: Thread [1]: WAL segment \"%s\" is absent\n"+
			"WARNING: Recovery can be done up to time %s, xid %d and LSN %s\nERROR: Not enough WAL records to ",
			a.end, a.stored(3), a.second(10), a.xid+3, a.last)
		exclusive := "--recovery-target-inclusive=false"
		for _, tt := range []struct {
			name string
			args []string
			want string
			exit int
		}{
			{"time", []string{"--recovery-target-time", a.second(2)}, opening(0, 1) + reached(3, a.xid+1, a.at[2]), 0},
			{"time of a commit", []string{"--recovery-target-time", a.second(3)}, opening(0, 1) + reached(4, a.xid+2, a.at[3]), 0},
			{"time of a commit, exclusive", []string{"--time", a.second(3), exclusive}, opening(0, 1) + reached(3, a.xid+1, a.at[2]), 0},
			{"time of the last", []string{"--recovery-target-time", a.second(10)}, missed + "time " + a.second(10) + "\n", 1},
			{"time of the last, exclusive", []string{"--recovery-target-time", a.second(10), exclusive}, opening(0, 1, 2) + reached(10, a.xid+3, a.at[5]), 0},
			{"future", []string{"--recovery-target-time", "2099-01-01 00:00:00+02"}, missed + "time 2098-12-31 22:00:00+00\n", 1},
			{"xid", []string{"--recovery-target-xid", fmt.Sprint(a.xid + 1)}, opening(0, 1) + reached(3, a.xid+1, a.at[2]), 0},
			{"xid that was rolled back", []string{"--xid", fmt.Sprint(a.xid + 2)}, opening(0, 1) + reached(4, a.xid+2, a.at[3]), 0},
			{"xid with changes", []string{"--xid", fmt.Sprint(a.xid + 3)}, opening(0, 1, 2) + reached(4, a.xid+3, a.at[4]), 0},
			{"xid of nobody", []string{"--recovery-target-xid", "99999999"}, missed + "xid 99999999\n", 1},
			{"lsn", []string{"--recovery-target-lsn", a.at[1].String()}, opening(0, 1) + reached(2, a.xid, a.at[1]), 0},
			{"lsn behind all commits", []string{"--lsn", a.last.String()}, opening(0, 1, 2) + reached(10, a.xid+3, a.last), 0},
			{"lsn at a page border", []string{"--recovery-target-lsn", "9/0"}, missed + "lsn 9/0\n", 1},
		} {
			r := a.tool(append([]string{"validate", "-B", a.catalog, "--instance", "n1"}, tt.args...)...)
			if got := from(r, "LOG: Extracting pagemap from tli 1 on range from "); r.exit != tt.exit || got[strings.Index(got, "\n")+1:] != tt.want {
				t.Errorf("%s: exit %d\n%s\nwant\n%s", tt.name, r.exit, got, tt.want)
			}
			if strings.Contains(r.err, "WAL segments are valid") {
				t.Errorf("%s: the line without target was printed", tt.name)
			}
		}
		for _, args := range [][]string{{"--recovery-target-name=rp1"}, {"--immediate"}, {"--latest"}, {"--recovery-target-name=backup " + a.id}, {"--timeline=1", "-i", a.id}} {
			a.must(append([]string{"validate", "-B", a.catalog, "--instance", "n1"}, args...)...)
		}
		for _, args := range [][]string{{"--recovery-target-name=nosuch"}, {"--recovery-target-timeline=2", "--latest"}} {
			r := a.tool(append([]string{"validate", "-B", a.catalog, "--instance", "n1"}, args...)...)
			if r.exit != 1 || r.err != "LOG: Validate begin.\nERROR: Backup satisfying target options is not found.\n" {
				t.Errorf("%v: exit %d\n%s", args, r.exit, r.err)
			}
		}
	}
}

// What the server is told, and that it can fetch its WAL as told: it cuts the
// command at blanks and runs it without a shell (spec/server.md §6.5).
func TestRecoveryConf(t *testing.T) {
	t.Parallel()
	a := newAftermath(t)
	a.archive()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	command := program + " archive-get -B " + a.catalog + " --instance n1 --wal-file-path=%p --wal-file-name=%f"
	fetch := "restore_command = '" + command + "'\n"
	const head, open = "# recovery.conf generated by gs_probackup 2.4.2\n\n## recovery settings\n", "pause_at_recovery_target = 'false'\n"
	until := regexp.MustCompile(` --until=[0-9A-F]{24}\.[0-9A-F]{8}`)
	stop := ""
	for i, tt := range []struct {
		args []string
		want string // "" for no file
	}{
		{nil, ""},
		{[]string{"--recovery-target-time", a.second(2)}, "recovery_target_time = '" + a.second(2) + "'\n" + open + fetch},
		{[]string{"--recovery-target-time", a.start.Add(2 * time.Second).Format("2006-01-02 15:04:05")}, "recovery_target_time = '" + a.second(2) + "'\n" + open + fetch},
		{[]string{"--xid", fmt.Sprint(a.xid), "--inclusive=false"}, fmt.Sprintf("recovery_target_xid = '%d'\nrecovery_target_inclusive = 'false'\n", a.xid) + open + fetch},
		{[]string{"--lsn", a.at[1].String(), "--timeline=1"}, "recovery_target_lsn = '" + a.at[1].String() + "'\n" + open + "recovery_target_timeline = '1'\n" + fetch},
		{[]string{"--recovery-target-name=rp1"}, "recovery_target_name = 'rp1'\n" + open + fetch},
		{[]string{"--recovery-target-name=rp1", "--restore-command=none"}, "recovery_target_name = 'rp1'\n" + open},
		{[]string{"--latest"}, open + fetch},
		{[]string{"--immediate"}, "recovery_target_lsn = '%STOP%'\nrecovery_target_inclusive = 'false'\n" + open},
		{[]string{"--recovery-target-name=backup " + a.id}, "recovery_target_name = 'backup " + a.id + "'\n" + open},
		{[]string{"--restore-command=cp /x/%f %p"}, open + "restore_command = 'cp /x/%f %p'\n"},
	} {
		target := filepath.Join(a.dir, fmt.Sprintf("r%d", i))
		r := a.must(a.restoreTo(target, tt.args...)...)
		if stop == "" {
			control, err := os.ReadFile(filepath.Join(a.catalog, "backups/n1", a.id, "backup.control"))
			if err != nil {
				t.Fatal(err)
			}
			_, rest, _ := strings.Cut(string(control), "\nstop-lsn = ")
			stop, _, _ = strings.Cut(rest, "\n")
		}
		conf, err := os.ReadFile(filepath.Join(target, "recovery.conf"))
		got := until.ReplaceAllString(string(conf), "")
		if searched := strings.HasSuffix(tt.want, fetch) && !slices.Contains(tt.args, "--latest"); searched == (got == string(conf)) {
			t.Errorf("%v: archive-get is told of the end: %t\n%s", tt.args, !searched, conf)
		}
		want := strings.ReplaceAll(tt.want, "%STOP%", stop)
		if want != "" {
			want = head + want
		}
		if got != want || (err != nil) != (want == "") {
			t.Errorf("%v: %v\n%s\nwant\n%s", tt.args, err, got, want)
		}
		if warned := strings.Contains(r.err, "WARNING: you need to input restore command manually.\n"); warned != (want != "" && !strings.Contains(want, "restore_command")) {
			t.Errorf("%v: %s", tt.args, r.err)
		}
		if err := os.RemoveAll(target); err != nil {
			t.Fatal(err)
		}
	}
	name := filepath.Base(a.stored(1))
	fetched := filepath.Join(a.dir, "RECOVERYXLOG")
	words := strings.Fields(strings.NewReplacer("%p", fetched, "%f", name).Replace(command))
	a.must(words[1:]...)
	want, err1 := os.ReadFile(filepath.Join(a.cluster.Dir(), "pg_xlog", name))
	got, err2 := os.ReadFile(fetched)
	if err1 != nil || err2 != nil || !bytes.Equal(got, want) {
		t.Errorf("fetched segment differs: %v, %v", err1, err2)
	}
	if r := a.tool(slices.Concat(words[1:len(words)-1], []string{"--wal-file-name=00000002.history"})...); r.exit != 1 || r.err != "" {
		t.Errorf("a missing file: exit %d, %q", r.exit, r.err)
	}
}

// Everything that would let the server open with less than was asked for is
// told before anything is written.
func TestArchiveInDisorder(t *testing.T) {
	t.Parallel()
	a := newAftermath(t)
	a.archive()
	var kept [3][]byte
	for i := range kept {
		var err error
		if kept[i], err = os.ReadFile(a.stored(uint64(i))); err != nil {
			t.Fatal(err)
		}
	}
	put := func(segment uint64, data []byte) {
		t.Helper()
		if err := os.WriteFile(a.stored(segment), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	flipped := bytes.Clone(kept[1])
	flipped[wal.SegmentOffset(a.at[2], ogwal.SegSize)+40] ^= 1
	foreign := bytes.Clone(kept[2])
	foreign[24] ^= 1 // system identifier
	newer := bytes.Clone(kept[2])
	newer[0]++ // page magic
	missing := "\" is absent\n"
	gap := fmt.Sprintf("WARNING: WAL segment %s is the end of what can be used, although the archive has %s and later\n", filepath.Base(a.stored(1)), filepath.Base(a.stored(2)))
	corrupt := func(segment uint64) string {
		return "ERROR: Thread [1]: Possible WAL corruption. Error has occured during reading WAL segment \"" + a.stored(segment) + "\"\n" //nolint:misspell // as C
	}
	for _, tt := range []struct {
		name    string
		disturb func()
		want    []string
		latest  bool // also without a target behind it
	}{
		{"a gap", func() { _ = os.Remove(a.stored(1)) }, []string{a.stored(1) + missing, gap}, true},
		{"half a copy", func() { put(1, kept[1][:1<<20]) }, []string{"segment has 1048576 bytes instead of 16777216", corrupt(1), gap}, true},
		{"half a copy at the end", func() { put(2, kept[2][:8192*2]) }, []string{"segment has 16384 bytes instead of 16777216", corrupt(2)}, true},
		{"a flipped bit", func() { put(1, flipped) }, []string{"record has CRC ", corrupt(1), gap}, true},
		{"another system's", func() { put(2, foreign) }, []string{"segment is of system ", corrupt(2)}, true},
		{"another server's", func() { put(2, newer) }, []string{"page magic D075 is not that of openGauss", corrupt(2)}, true},
		{"nothing archived", func() { _ = os.RemoveAll(filepath.Dir(a.stored(1))); _ = os.Mkdir(filepath.Dir(a.stored(1)), 0o700) }, []string{a.stored(0) + missing}, false},
	} {
		tt.disturb()
		for _, target := range []string{"--recovery-target-xid=" + fmt.Sprint(a.xid+3), "--latest"} {
			if target == "--latest" && !tt.latest {
				continue
			}
			into := filepath.Join(a.dir, "never")
			r := a.tool(a.restoreTo(into, target)...)
			for _, text := range append(tt.want, "WARNING: Recovery can be done up to time ", "ERROR: Not enough WAL records to ") {
				if !strings.Contains(r.err, text) {
					t.Errorf("%s, %s: %q is not said\n%s", tt.name, target, text, r.err)
				}
			}
			if _, err := os.Lstat(into); r.exit != 1 || err == nil {
				_ = os.RemoveAll(into)
				t.Errorf("%s, %s: exit %d, %v", tt.name, target, r.exit, err)
			}
		}
		for i := range kept {
			if err := os.MkdirAll(filepath.Dir(a.stored(1)), 0o700); err != nil {
				t.Fatal(err)
			}
			put(uint64(i), kept[i])
		}
	}
	// In order again.
	a.must("validate", "-B", a.catalog, "--instance", "n1", "--latest")
}
