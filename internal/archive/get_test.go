package archive_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gsprobackup/internal/archive"
	"gsprobackup/internal/fsx"
	"gsprobackup/internal/wal"
)

func zip(t testing.TB, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	zw := gzip.NewWriter(&b)
	if _, err := zw.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := zw.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// Whatever form a segment is stored in, by whomever; what is not there is
// ErrNotArchived and nothing else.
func TestGet(t *testing.T) {
	data := recorded(t, pgFile+seg9)
	for stored, content := range map[string][]byte{
		seg9: data, seg9 + ".gz": zip(t, data), seg9 + ".partial": data, seg9 + ".partial.gz": zip(t, data),
	} {
		w := newWorld(t)
		w.put(stored, content)
		got, err := w.get(seg9)
		if err != nil || !bytes.Equal(got, data) {
			t.Errorf("%s: %d bytes, %v", stored, len(got), err)
		}
		for _, name := range []string{segA, history, "00000002" + seg9[8:], seg9 + ".00000028.backup"} {
			if _, err := w.get(name); !errors.Is(err, archive.ErrNotArchived) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if left := list(t, w.fs, w.source); left != "archive_status" {
			t.Errorf("left over: %s", left)
		}
	}
	w := newWorld(t)
	w.put(history, []byte("1\t0/A00000\tx\n"))
	if got, err := w.get(history); err != nil || string(got) != "1\t0/A00000\tx\n" {
		t.Errorf("%q, %v", got, err)
	}
	wantText(t, func() error { _, err := w.get("../../x"); return err }(), "is not the name of a WAL file")
}

// What comes back is what went in.
func TestGetWhatWasPushed(t *testing.T) {
	for _, level := range []int{0, 1} {
		w := newWorld(t)
		for _, n := range []string{seg9, segA, segB} {
			data := recorded(t, pgFile+n)
			w.serve(n, data)
			w.must(w.push(n, func(o *archive.PushOptions) { o.GzipLevel = level }))
			got, err := w.get(n)
			if err != nil || !bytes.Equal(got, data) {
				t.Errorf("%s: %v", n, err)
			}
		}
	}
	w := newWorld(t)
	data := recorded(t, ogFile+"00000001000000000000005B")
	w.serve("00000001000000000000005B", data)
	w.must(w.push("00000001000000000000005B"))
	if got, err := w.get("00000001000000000000005B"); err != nil || !bytes.Equal(got, data) {
		t.Errorf("openGauss: %v", err)
	}
}

// A server takes a bad segment for the end of the log and opens with less than
// there is. So it does not get one.
func TestGetDamaged(t *testing.T) {
	data := recorded(t, pgFile+seg9)
	flipped := func(at int) []byte {
		b := bytes.Clone(data)
		b[at] ^= 0x10
		return b
	}
	zipped := zip(t, data)
	for _, tt := range []struct {
		name, stored string
		content      []byte
		next         bool // the archive goes on
		bad          bool
	}{
		{"half copied", seg9, data[:600000], false, true},
		{"empty", seg9, nil, false, true},
		{"cut gzip", seg9 + ".gz", zipped[:len(zipped)-9], false, true},
		{"flipped gzip", seg9 + ".gz", append(bytes.Clone(zipped[:5000]), append([]byte{zipped[5000] ^ 1}, zipped[5001:]...)...), false, true},
		{"record in the middle", seg9, flipped(300000), true, true},
		{"record in the middle of the last segment", seg9, flipped(300000), false, true},
		{"of another place", seg9, recorded(t, pgFile+segB), false, true},
		{"the log ends here", seg9, append(bytes.Clone(data[:40*8192]), make([]byte, len(data)-40*8192)...), false, false},
		{"the log ends here and goes on", seg9, append(bytes.Clone(data[:40*8192]), make([]byte, len(data)-40*8192)...), true, true},
		{"the log ends in old content", seg9 + ".partial", append(bytes.Clone(data[:40*8192]), recorded(t, pgFile+segB)[40*8192:]...), true, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.put(tt.stored, tt.content)
			if tt.next {
				w.put(segA, recorded(t, pgFile+segA))
			}
			_, err := w.get(seg9)
			if !tt.bad {
				w.must(err)
				return
			}
			wantText(t, err, `Archived WAL file "`+w.archived(tt.stored)+`" is damaged: `)
			if tt.name == "record in the middle" {
				if _, err := w.get(seg9, func(o *archive.GetOptions) { o.NoValidate = true }); err != nil {
					t.Errorf("--no-validate-wal: %v", err)
				}
			}
		})
	}
}

// A server asks for more than it will replay. What is damaged behind the end of
// recovery is no reason to stop it.
func TestGetDamagedBehindTheEnd(t *testing.T) {
	data := recorded(t, pgFile+seg9)
	const at = 300000 // of the damage
	data = bytes.Clone(data)
	data[at] ^= 0x10
	until := func(segment string, offset int) func(*archive.GetOptions) {
		return func(o *archive.GetOptions) {
			var err error
			if o.Until, err = wal.ParseMark(fmt.Sprintf("%s.%08X", segment, offset)); err != nil {
				t.Fatal(err)
			}
		}
	}
	w := newWorld(t)
	w.put(seg9, data)
	w.put(segA, recorded(t, pgFile+segA))
	w.put(segB, nil)
	for name, o := range map[string]func(*archive.GetOptions){seg9: until(seg9, at/2), segA: until(seg9, at/2)} {
		if _, err := w.get(name, o); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, o := range map[string]func(*archive.GetOptions){seg9: until("0000000A"+seg9[8:], 2*at), segB: until(segB, 1), segA: until(segB, 1)} {
		if _, err := w.get(name, o); (err != nil) != (name != segA) || errors.Is(err, archive.ErrNotArchived) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := w.get(segB, until(segA, 100)); !errors.Is(err, archive.ErrNotArchived) {
		t.Errorf("behind the end: %v", err)
	}
	later := "00000002" + segB[8:] // restored, and gone on since with the same restore_command
	w.put(later, nil)
	if _, err := w.get(later, until(segA, 100)); err == nil || errors.Is(err, archive.ErrNotArchived) {
		t.Errorf("on the next timeline: %v", err)
	}
	if n := len(w.events); n == 0 || !strings.Contains(fmt.Sprint(w.events[n-1]), "is damaged") {
		t.Errorf("nobody was told: %v", w.events)
	}
}

// Files without checks of their own have the checksum of the day they came.
func TestGetChangedAtRest(t *testing.T) {
	w := newWorld(t)
	w.serve(history, []byte("1\t0/A00000\tx\n"))
	w.must(w.push(history))
	f, err := w.fs.OpenFile(w.archived(history), os.O_RDWR, 0)
	w.must(err)
	_, err = fsx.GetXattr(f, "user.gs_probackup.crc32c")
	kept := err == nil // else this file system has no attributes
	_, err = f.WriteAt([]byte("1\t0/B"), 0)
	w.must(errors.Join(err, f.Close()))
	if _, err = w.get(history); kept != (err != nil) {
		t.Errorf("attributes kept: %v, error: %v", kept, err)
	}
	if kept {
		wantText(t, err, "is damaged: its checksum is ")
	}
}

// A catalog that is not there must not look like an archive that ends.
func TestGetWithoutArchive(t *testing.T) {
	w := newWorld(t)
	w.must(os.Remove(w.inst.WALDir()))
	_, err := w.get(seg9)
	wantText(t, err, "WAL archive directory is not accessible")
}

// Neither must storage that is not mounted, behind links in the archive.
func TestGetThroughADeadLink(t *testing.T) {
	w := newWorld(t)
	w.must(w.fs.Symlink("/nowhere/"+seg9, w.archived(seg9+".gz")))
	_, err := w.get(seg9)
	wantText(t, err, `Archived WAL file "`+w.archived(seg9+".gz")+`" is a link that leads nowhere`)
}

// late is an archive in which a file appears when it was just looked for.
type late struct {
	fsx.FS
	come func()
}

func (l late) Lstat(name string) (fs.FileInfo, error) { l.come(); return l.FS.Lstat(name) }

func TestGetWhatComesThisMoment(t *testing.T) {
	w := newWorld(t)
	under := w.fs
	w.fs = late{under, func() {
		w.must(write(under, w.archived(seg9), nil))
	}}
	target := filepath.Join(w.source, "RECOVERYXLOG")
	err := archive.Get(t.Context(), archive.Deps{FS: w.fs}, archive.GetOptions{Instance: w.inst, Name: seg9, Target: target})
	if !errors.Is(err, archive.ErrNotArchived) {
		t.Errorf("the server is not told to ask again: %v", err)
	}
}

func TestGetPrefetches(t *testing.T) {
	w := newWorld(t)
	all := map[string][]byte{}
	for _, n := range []string{seg9, segA, segB} {
		all[n] = recorded(t, pgFile+n)
		w.put(n+".gz", zip(t, all[n]))
	}
	batch := func(o *archive.GetOptions) { o.Batch, o.Threads = 3, 2 }
	dir := filepath.Join(w.source, "pbk_prefetch")
	check := func(name, waiting string) {
		t.Helper()
		got, err := w.get(name, batch)
		if err != nil || !bytes.Equal(got, all[name]) || list(t, w.fs, dir) != waiting {
			t.Errorf("%s: %v, waiting: %s", name, err, list(t, w.fs, dir))
		}
	}
	check(seg9, "A B")
	w.must(os.Remove(w.archived(segA + ".gz"))) // it is not needed any more
	check(segA, "B")
	w.must(os.WriteFile(filepath.Join(dir, segB), all[segB][:1000], 0o600)) // lost in a crash
	check(segB, "")
	if _, err := w.get("00000001000000000000000C", batch); !errors.Is(err, archive.ErrNotArchived) {
		t.Error(err)
	}
	// A damaged one is left to the call that asks for it.
	w.put(segA, all[segA][:1000])
	check(seg9, "B")
	if len(w.events) == 0 {
		t.Error("nothing told of the damaged segment")
	}
	_, err := w.get(segA, batch)
	wantText(t, err, "is damaged")
}
