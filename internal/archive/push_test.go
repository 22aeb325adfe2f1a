package archive_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"gsprobackup/internal/archive"
	"gsprobackup/internal/fsx"
	"gsprobackup/internal/fsx/crashfs"
	"gsprobackup/internal/fsx/faultfs"
)

func unzip(t testing.TB, data []byte) []byte {
	t.Helper()
	r, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	out, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestPushPlainAndCompressed(t *testing.T) {
	for _, level := range []int{0, 1, 9} {
		w := newWorld(t)
		data := recorded(t, pgFile+seg9)
		w.serve(seg9, data)
		for range 2 { // the second time it is there already
			w.must(w.push(seg9, func(o *archive.PushOptions) { o.GzipLevel = level }))
		}
		name := seg9
		if level > 0 {
			name += ".gz"
		}
		got, err := os.ReadFile(w.archived(name))
		w.must(err)
		if level > 0 {
			if len(got) > len(data)/2 {
				t.Errorf("level %d: %d bytes", level, len(got))
			}
			got = unzip(t, got)
		}
		if !bytes.Equal(got, data) || list(t, w.fs, w.inst.WALDir()) != name[23:] {
			t.Errorf("level %d: archive holds %s", level, list(t, w.fs, w.inst.WALDir()))
		}
		if len(w.events) != 2 || w.events[0] != (archive.Pushed{Name: seg9}) || w.events[1] != (archive.Pushed{Name: seg9, Present: true}) {
			t.Errorf("level %d: events %+v", level, w.events)
		}
	}
}

// The other kinds of files go as they are, both families' segments do.
func TestPushEveryKind(t *testing.T) {
	w := newWorld(t)
	level := func(o *archive.PushOptions) { o.GzipLevel = 1 }
	files := map[string][]byte{
		history: []byte("1\t0/A00000\tno recovery target specified\n"), seg9 + ".00000028.backup": []byte("START WAL LOCATION: 0/900028\n"),
		seg9 + ".partial": recorded(t, pgFile+seg9), "00000001000000000000005A": recorded(t, ogFile+"00000001000000000000005A"),
	}
	for name, data := range files {
		w.serve(name, data)
		w.must(w.push(name, level))
		if name == "00000001000000000000005A" {
			name += ".gz"
		}
		got, err := os.ReadFile(w.archived(name))
		w.must(err)
		if filepath.Ext(name) == ".gz" {
			got = unzip(t, got)
			data = files["00000001000000000000005A"]
		}
		if !bytes.Equal(got, data) {
			t.Errorf("%s differs", name)
		}
	}
	for _, name := range []string{"x", "../" + seg9, seg9 + ".gz", seg9 + "0", "00000002.HISTORY", seg9 + ".00000028.backup.gz", ""} {
		wantText(t, w.push(name), "is not the name of a WAL file")
	}
}

// What is there is never replaced by something else, however it is stored; the
// same content is success.
func TestPushRefusesOtherContent(t *testing.T) {
	data := recorded(t, pgFile+seg9)
	other := bytes.Clone(data)
	other[len(other)-1] ^= 1
	var zipped bytes.Buffer
	zw := gzip.NewWriter(&zipped)
	zw.Write(data)
	zw.Close()
	for _, tt := range []struct {
		name, stored string
		content      []byte
		same         bool
	}{
		{"plain", seg9, other, false},
		{"plain and half", seg9, data[:len(data)/2], false},
		{"plain and empty", seg9, nil, false},
		{"plain and longer", seg9, append(bytes.Clone(data), 0), false},
		{"compressed and damaged", seg9 + ".gz", zipped.Bytes()[:zipped.Len()-100], false},
		{"no gzip at all", seg9 + ".gz", []byte("x"), false},
		{"the same", seg9, data, true},
		{"the same, compressed", seg9 + ".gz", zipped.Bytes(), true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.serve(seg9, data)
			w.put(tt.stored, tt.content)
			before := list(t, w.fs, w.inst.WALDir())
			err := w.push(seg9, func(o *archive.PushOptions) { o.GzipLevel = 1 })
			if got, rerr := os.ReadFile(w.archived(tt.stored)); rerr != nil || !bytes.Equal(got, tt.content) {
				t.Errorf("the archived file changed: %v", rerr)
			}
			if after := list(t, w.fs, w.inst.WALDir()); after != before {
				t.Errorf("archive holds %s", after)
			}
			if tt.same {
				w.must(err)
				return
			}
			wantText(t, err, `WAL file already exists in archive with different content: "`+w.archived(tt.stored)+`"`)
			w.must(w.push(seg9, func(o *archive.PushOptions) { o.Overwrite = true }))
			if got, err := os.ReadFile(w.archived(seg9)); err != nil || !bytes.Equal(got, data) {
				t.Errorf("not replaced: %v", err)
			}
			if after := list(t, w.fs, w.inst.WALDir()); after != "9" {
				t.Errorf("archive holds %s", after)
			}
		})
	}
}

// A segment of something else is not archived.
func TestPushChecksTheSource(t *testing.T) {
	data := recorded(t, pgFile+seg9)
	for _, tt := range []struct {
		name, file string
		content    []byte
		system     uint64
		want       string
	}{
		{"of another place", segA, data, 0, "it holds WAL of timeline 1 at 0/900000"},
		{"half", seg9, data[:500000], 0, "it has 500000 bytes instead of 1048576"},
		{"tiny", seg9, data[:100], 0, "it has only 100 bytes"},
		{"zeros", seg9, make([]byte, 1<<20), 0, "it does not begin with a page of WAL"},
		{"of another cluster", seg9, data, 4711, "Instance 'n1' should have SYSTEM_ID = 4711 instead of "},
		{"of a later timeline", "0000000000000000" + seg9[16:], data, 0, "it holds WAL of timeline 1"},
	} {
		w := newWorld(t)
		w.serve(tt.file, tt.content)
		wantText(t, w.push(tt.file, func(o *archive.PushOptions) { o.SystemID = tt.system }), tt.want)
		if left := list(t, w.fs, w.inst.WALDir()); left != "" {
			t.Errorf("%s: archive holds %s", tt.name, left)
		}
	}
	w := newWorld(t)
	if err := w.push(seg9); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
}

// A batch takes what is ready, history files first, and marks it as done.
func TestPushBatch(t *testing.T) {
	for _, rename := range []bool{true, false} {
		w := newWorld(t)
		for _, n := range []string{seg9, segA, segB} {
			w.serve(n, recorded(t, pgFile+n))
		}
		w.serve(history, []byte("1\t0/A00000\tx\n"))
		w.serve("junk", nil)
		w.must(w.push(segA, func(o *archive.PushOptions) { o.Batch, o.Threads, o.NoReadyRename = 3, 2, !rename }))
		if got := list(t, w.fs, w.inst.WALDir()); got != "9 A 00000002.history" {
			t.Errorf("archive holds %s", got)
		}
		want := "9.ready A.ready B.ready 00000002.history.ready junk.ready"
		if rename { // the server marks its own file
			want = "9.done A.ready B.ready 00000002.history.done junk.ready"
		}
		if got := list(t, w.fs, w.source+"/archive_status"); got != want {
			t.Errorf("marks are %s", got)
		}
	}
}

// One bad file of a batch does not keep the server from its own.
func TestPushBatchWithABadFile(t *testing.T) {
	w := newWorld(t)
	w.serve(seg9, recorded(t, pgFile+seg9))
	w.serve(segA, []byte("half"))
	w.must(w.push(seg9, func(o *archive.PushOptions) { o.Batch, o.Threads = 5, 4 }))
	failed := 0
	for _, e := range w.events {
		if f, ok := e.(archive.PushFailed); ok && f.Name == segA {
			failed++
		}
	}
	if failed != 1 || list(t, w.fs, w.source+"/archive_status") != "9.ready A.ready" {
		t.Errorf("%d failures told, marks are %s", failed, list(t, w.fs, w.source+"/archive_status"))
	}
	// The other way round the call fails, and the good one is archived.
	wantText(t, w.push(segA, func(o *archive.PushOptions) { o.Batch = 5 }), "it has only 4 bytes")
}

// What a killed process has left is in nobody's way and never becomes an
// archived file: half of it, or the archived file itself under its old name.
func TestPushWithLeftOvers(t *testing.T) {
	data := recorded(t, pgFile+seg9)
	w := newWorld(t)
	w.serve(seg9, data)
	w.put(seg9+".part", data[:300000])
	w.must(w.push(seg9))
	w.must(os.Link(w.archived(seg9), w.archived(seg9+".part")))
	w.must(w.push(seg9))
	got, err := os.ReadFile(w.archived(seg9))
	if err != nil || !bytes.Equal(got, data) || list(t, w.fs, w.inst.WALDir()) != "9" {
		t.Errorf("archive holds %s, %v", list(t, w.fs, w.inst.WALDir()), err)
	}
}

// While another process writes the same file, the call fails and harms nothing.
func TestPushBesideAnother(t *testing.T) {
	w := newWorld(t)
	w.serve(seg9, recorded(t, pgFile+seg9))
	w.put(seg9+".part", []byte("begun"))
	f, err := w.fs.OpenFile(w.archived(seg9+".part"), os.O_RDWR, 0)
	w.must(err)
	defer f.Close()
	w.must(fsx.Flock(f, unix.LOCK_EX))
	wantText(t, w.push(seg9), "is being written by another archive-push")
	if got, _ := os.ReadFile(w.archived(seg9 + ".part")); string(got) != "begun" {
		t.Errorf("the other one's file is %q", got)
	}
}

// Someone without our lock gives the name to other content in the last moment.
func TestPushLosesTheRace(t *testing.T) {
	w := newWorld(t)
	w.serve(seg9, recorded(t, pgFile+seg9))
	faults := faultfs.New(w.fs)
	faults.Before(func(op faultfs.Op) error {
		if op.Kind == faultfs.Link {
			w.put(seg9, []byte("other"))
		}
		return nil
	})
	err := archive.Push(context.Background(), archive.Deps{FS: faults}, archive.PushOptions{Instance: w.inst, WALDir: w.source, Name: seg9})
	wantText(t, err, "already exists in archive with different content")
	if got, _ := os.ReadFile(w.archived(seg9)); string(got) != "other" {
		t.Error("the other file was replaced")
	}
}

// After a crash at any step the archive has the whole file or none, and when
// the server was told that it is archived, it is.
func TestPushCrashes(t *testing.T) {
	data := recorded(t, pgFile+segA)
	for _, level := range []int{0, 1} {
		name := segA
		if level > 0 {
			name += ".gz"
		}
		crashfs.EachStep(t, func(f fsx.FS) error {
			if err := build(f, ""); err != nil {
				return err
			}
			return write(f, source+"/"+segA, data)
		}, func(f fsx.FS) error {
			w := open(t, f, "")
			return w.push(segA, func(o *archive.PushOptions) { o.GzipLevel = level })
		}, func(s crashfs.Step, f *crashfs.FS) {
			w := open(t, f, "")
			got, err := fsx.ReadFile(f, w.archived(name), 2<<20)
			switch {
			case err == nil && level > 0:
				got = unzip(t, got)
			case err != nil && s.Done:
				t.Fatalf("%v: lost", s)
			}
			if err == nil && !bytes.Equal(got, data) {
				t.Fatalf("%v: half written", s)
			}
			// The server asks again.
			if err := w.push(segA, func(o *archive.PushOptions) { o.GzipLevel = level }); err != nil {
				t.Fatalf("%v: again: %v", s, err)
			}
			if left := list(t, f, w.inst.WALDir()); left != name[23:] {
				t.Fatalf("%v: archive holds %s", s, left)
			}
		})
	}
}
