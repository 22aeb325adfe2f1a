package merge_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"gsprobackup/internal/catalog"
	"gsprobackup/internal/catalog/contentlist"
	"gsprobackup/internal/catalog/lock"
	"gsprobackup/internal/compress"
	"gsprobackup/internal/crc32c"
	"gsprobackup/internal/fsx"
	"gsprobackup/internal/fsx/crashfs"
	"gsprobackup/internal/fsx/faultfs"
	"gsprobackup/test/golden"
)

// allSteps makes TestFailAtEveryStep take its name literally: minutes instead
// of seconds.
var allSteps = flag.Bool("allsteps", false, "fail at every step, not at some")

// few reduces a chain to files that meet every way of being merged.
func (w *world) few(want func(e *catalog.Entry) bool) {
	w.t.Helper()
	inst := w.instance()
	list, err := inst.Backups(context.Background())
	w.must(err)
	for _, b := range list {
		entries, err := catalog.LoadContent(w.fs, b)
		w.must(err)
		dirs := map[string]bool{}
		keep := []*catalog.Entry{}
		for i := range entries {
			if e := &entries[i]; e.IsRegular() && want(e) {
				keep = append(keep, e)
				for d := path.Dir(e.Path); d != "."; d = path.Dir(d) {
					dirs[fmt.Sprint(e.ExternalDir, d)] = true
				}
			}
		}
		for i := range entries {
			e := &entries[i]
			if e.IsDir() && dirs[fmt.Sprint(e.ExternalDir, e.Path)] {
				keep = append(keep, e)
			}
			if e.IsRegular() && e.Size > 0 && !slices.Contains(keep, e) {
				w.must(w.fs.Remove(path.Join(b.EntryDir(e.ExternalDir), e.Path)))
			}
		}
		w.relist(inst, b, keep)
	}
}

// relist replaces the list of a backup.
func (w *world) relist(inst *catalog.Instance, b *catalog.Backup, list []*catalog.Entry) {
	w.t.Helper()
	var sums contentlist.Counters
	for _, e := range list {
		sums.Add(e, false)
	}
	w.must(catalog.SaveContent(w.fs, b, true, slices.Values(list)))
	w.must(inst.UpdateControl(b, func(b *catalog.Backup) {
		b.ContentCRC, b.DataBytes, b.WALBytes, b.UncompressedBytes = 0, sums.DataBytes, sums.WALBytes, sums.UncompressedBytes
	}))
}

// smallChain is a chain of four with a handful of files.
func smallChain(t testing.TB) *world {
	w := newWorld(t, golden.Mixed)
	w.cut = true
	names := []string{"base/16384/16394", "base/16384/14606", "global/pg_control", "backup_label", "PG_VERSION"}
	w.few(func(e *catalog.Entry) bool { return slices.Contains(names, e.Path) })
	w.turn("TOWAGE", "TOWAGJ", "TOWAGN", "TOWAGR")
	return w
}

// turn adds a file that becomes a directory after the FULL, and the other way
// round.
func (w *world) turn(full, first string, later ...string) {
	w.t.Helper()
	const dir, file = 0o040700, 0o100600
	entry := func(path string, mode uint32) *catalog.Entry {
		e := &catalog.Entry{Path: path, Mode: mode, CompressAlg: compress.None}
		if e.IsRegular() { // a file holds its name
			e.Size, e.CRC = int64(len(path)), crc32c.Sum([]byte(path))
		}
		return e
	}
	inst := w.instance()
	add := func(id string, store bool, entries ...*catalog.Entry) {
		b, err := catalog.ReadControl(w.fs, w.c.BackupDir(id)+"/"+catalog.ControlName, w)
		w.must(err)
		b.Dir = w.c.BackupDir(id)
		old, err := catalog.LoadContent(w.fs, b)
		w.must(err)
		list := entries
		for i := range old {
			list = append(list, &old[i])
		}
		for _, e := range entries {
			name := path.Join(b.DatabaseDir(), e.Path)
			switch {
			case e.IsDir():
				w.must(fsx.MkdirAll(w.fs, name, 0o700))
			case store:
				w.must(fsx.WriteFile(w.fs, name, fsx.WriteOptions{Perm: 0o600}, func(f io.Writer) error {
					_, err := io.WriteString(f, e.Path)
					return err
				}))
			default:
				e.Size = contentlist.SizeUnchanged
			}
		}
		w.relist(inst, b, list)
	}
	then := func() []*catalog.Entry {
		return []*catalog.Entry{
			entry("to_dir", dir), entry("to_dir/sub", dir), entry("to_dir/sub/new", file),
			entry("to_empty", dir), entry("to_file", file),
		}
	}
	add(full, true, entry("to_dir", file), entry("to_file", dir), entry("to_file/old", file), entry("to_empty", file))
	add(first, true, then()...)
	for _, id := range later {
		add(id, false, then()...)
	}
}

// disturbed are the chains that are merged in these tests: one of a single
// algorithm, none, whose large file is patched, and one of two.
var disturbed = []struct {
	last    string
	members []string
	rest    string // the backups that are left when all is done
}{
	{"TOWAGJ", []string{"TOWAGE", "TOWAGJ"}, "TOWAGJ FULL OK, TOWAGN PTRACK OK, TOWAGR PTRACK OK"},
	{"TOWAGN", []string{"TOWAGE", "TOWAGJ", "TOWAGN"}, "TOWAGN FULL OK, TOWAGR PTRACK OK"},
}

// Whatever step fails, or is the last one before the process or the machine
// dies: before the chain says MERGING all its members are as they were, and
// another run brings the result that an undisturbed one would have, with
// nothing left over.
func TestFailAtEveryStep(t *testing.T) {
	template := smallChain(t)
	start := template.memory()
	for _, room := range []string{"", " without room"} {
		for _, chain := range disturbed {
			want := template.chain(chain.last)
			for _, tt := range []struct {
				name   string
				fault  faultfs.Fault
				stride int
			}{
				{"crash", faultfs.Fault{Sticky: true, Err: crashfs.ErrCrashed}, 7},
				{"kill", faultfs.Fault{Sticky: true, Err: errKilled}, 11},
				{"ENOSPC", faultfs.Fault{Err: unix.ENOSPC}, 13},
				{"EIO", faultfs.Fault{Err: unix.EIO}, 17},
			} {
				t.Run(tt.name+" "+chain.last+room, func(t *testing.T) {
					t.Parallel()
					stride := tt.stride
					if *allSteps {
						stride = 1
					}
					fault := tt.fault
					for n := 1 + rand.IntN(stride); ; n += stride {
						mem := start.AfterCrash(crashfs.Best)
						faulty := faultfs.New(mem)
						w := template.on(t, faulty)
						if room != "" {
							w.fs = noRoom{faulty, tightRoom(t, template.on(t, mem.AfterCrash(crashfs.Best)), chain.last)}
						}
						fault.Nth = n
						faulty.Inject(fault)
						err := w.merge(chain.last)
						ops := faulty.Ops()
						if len(ops) < n {
							if err != nil {
								t.Fatal(err)
							}
							t.Logf("%d steps", len(ops))
							return
						}
						what := fmt.Sprintf("step %d of %s", n, ops[n-1])
						after := []*crashfs.FS{mem}
						if tt.name == "crash" {
							after = []*crashfs.FS{
								mem.AfterCrash(crashfs.Worst), mem.AfterCrash(crashfs.Best),
								mem.AfterCrash(rand.New(rand.NewPCG(uint64(n), 0)).IntN),
							}
						}
						for _, f := range after {
							w := template.on(t, f)
							w.recover(what, chain.members, err != nil, want)
							if got := w.statuses(); got != chain.rest {
								t.Errorf("after the rerun %s", got)
							}
							if t.Failed() {
								t.Fatal(what)
							}
						}
					}
				})
			}
		}
	}
}

// A merge that is killed while it deletes an increment on a full disk can be
// finished: the increment's control file has another name then.
func TestKilledOnFullDisk(t *testing.T) {
	w := smallChain(t)
	want := w.chain("TOWAGJ")
	faulty := faultfs.New(w.fs)
	merged := false
	faulty.Before(func(op faultfs.Op) error {
		switch inc := w.c.BackupDir("TOWAGJ"); {
		case op.Kind == faultfs.Remove && path.Base(op.Path) == "merge_journal":
			merged = true
		case merged && op.Kind == faultfs.Create && strings.HasPrefix(op.Path, inc+"/backup.control"):
			return unix.ENOSPC
		case merged && op.Kind == faultfs.Remove && strings.HasPrefix(op.Path, inc+"/database"):
			return errKilled
		}
		return nil
	})
	disturbed := w.on(t, faulty)
	if err := disturbed.merge("TOWAGJ"); err == nil {
		t.Fatal("not disturbed")
	}
	if _, err := w.fs.Lstat(w.c.BackupDir("TOWAGJ") + "/" + catalog.DeletingName); err != nil {
		t.Fatal(err)
	}
	w.must(w.merge("TOWAGJ"))
	w.sound("TOWAGJ", want)
}

// A file of which little has changed is patched where it is, also when it has
// grown, but not while somebody keeps it under another name.
func TestPatch(t *testing.T) {
	const file = "/database/base/16384/16394"
	for _, linked := range []bool{false, true} {
		w := smallChain(t)
		want := w.chain("TOWAGJ")
		full := w.c.BackupDir("TOWAGE") + file
		if linked {
			w.must(w.fs.Link(full, "/home/omm/copy"))
		}
		before, err := w.fs.Lstat(full)
		w.must(err)
		faulty := faultfs.New(w.fs)
		w.fs = faulty
		w.must(w.merge("TOWAGJ"))
		after, err := w.fs.Lstat(w.c.BackupDir("TOWAGJ") + file)
		w.must(err)
		written := int64(0)
		for _, op := range faulty.Ops() {
			if strings.Contains(op.Path, file) && op.Kind == faultfs.Write {
				written += op.Len
			}
		}
		if same := os.SameFile(before, after); same == linked {
			t.Errorf("linked %t, the same file %t", linked, same)
		}
		if little := written < after.Size()/2; written == 0 || little == linked {
			t.Errorf("linked %t: %d of %d bytes written", linked, written, after.Size())
		}
		w.sound("TOWAGJ", want)
	}
}

// recover looks at what a disturbed merge has left and finishes it.
func (w *world) recover(what string, members []string, noticed bool, want string) {
	w.t.Helper()
	states := w.statuses()
	last := members[len(members)-1]
	done := strings.Contains(states, last+" FULL OK")
	// Some steps may fail: a directory that is there, the mark on a backup
	// that is deleted.
	if !noticed && !done {
		w.t.Errorf("%s: not noticed", what)
	}
	if strings.HasPrefix(states, members[0]+" FULL OK") {
		// Not begun: all are whole.
		diff(w.t, w.chain(last), want)
		for _, id := range members {
			if !strings.Contains(states, id+" FULL OK") && !strings.Contains(states, id+" PTRACK OK") && !strings.Contains(states, id+" PTRACK MERGING") {
				w.t.Errorf("%s: %s", what, states)
			}
		}
	}
	for _, id := range members {
		// Half a PID may be that of some process that lives: the business of
		// package lock.
		file := w.c.BackupDir(id) + "/" + lock.FileName
		if text, err := fsx.ReadFile(w.fs, file, 64); err == nil && !bytes.HasSuffix(text, []byte("\n")) {
			w.must(w.fs.Remove(file))
		}
	}
	if !done {
		if err := w.merge(last); err != nil {
			w.t.Fatalf("%s: %s: rerun: %v", what, states, err)
		}
	}
	for _, id := range members { // a dead process' lock is the business of package lock; here its process lives
		_ = w.fs.Remove(w.c.BackupDir(id) + "/" + lock.FileName)
	}
	w.sound(last, want)
}

// tightRoom is the least room with which a merge begins.
func tightRoom(t testing.TB, w *world, last string) int64 {
	t.Helper()
	w.fs = noRoom{w.fs, 1}
	err := w.merge(last)
	if err == nil || !strings.HasPrefix(w.statuses(), "TOWAGE FULL OK") {
		t.Fatalf("%v, %s", err, w.statuses())
	}
	_, text, _ := strings.Cut(err.Error(), "to merge: ")
	text, _, _ = strings.Cut(text, " ")
	room, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return room
}
