package crashfs

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"

	"gsprobackup/internal/fsx"
)

// put writes a file without making anything durable, or only its content.
func put(t *testing.T, fsys fsx.FS, name, content string, sync bool) {
	t.Helper()
	f, err := fsys.OpenFile(name, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Write([]byte(content)); err != nil {
		t.Fatal(err)
	}
	if sync {
		if err := f.Sync(); err != nil {
			t.Fatal(err)
		}
	}
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestCrashLosesWhatIsNotSynced(t *testing.T) {
	for _, tc := range []struct {
		name string
		work func(t *testing.T, f *FS)
		want string // the tree afterwards
	}{
		{"file synced, name not", func(t *testing.T, f *FS) {
			put(t, f, "/a", "data", true)
		}, ""},
		{"name synced, file not", func(t *testing.T, f *FS) {
			put(t, f, "/a", "data", false)
			must(t, f.SyncDir("/"))
		}, "a -rw------- \"\" <nil>\n"},
		{"both synced", func(t *testing.T, f *FS) {
			put(t, f, "/a", "data", true)
			must(t, f.SyncDir("/"))
		}, "a -rw------- \"data\" <nil>\n"},
		{"overwritten after sync", func(t *testing.T, f *FS) {
			put(t, f, "/a", "data", true)
			must(t, f.SyncDir("/"))
			put(t, f, "/a", "DATA and more", false)
		}, "a -rw------- \"data\" <nil>\n"},
		{"mode not synced", func(t *testing.T, f *FS) {
			put(t, f, "/a", "data", true)
			must(t, f.SyncDir("/"), f.Chmod("/a", 0o400))
		}, "a -rw------- \"data\" <nil>\n"},
		{"rename not synced", func(t *testing.T, f *FS) {
			put(t, f, "/a", "data", true)
			must(t, f.SyncDir("/"), f.Rename("/a", "/b"))
		}, "a -rw------- \"data\" <nil>\n"},
		{"rename synced", func(t *testing.T, f *FS) {
			put(t, f, "/a", "data", true)
			must(t, f.SyncDir("/"), f.Rename("/a", "/b"), f.SyncDir("/"))
		}, "b -rw------- \"data\" <nil>\n"},
		{"rename to a directory, only the old one synced", func(t *testing.T, f *FS) {
			put(t, f, "/a", "data", true)
			must(t, f.Mkdir("/d", 0o700), f.SyncDir("/"), f.Rename("/a", "/d/a"), f.SyncDir("/"))
		}, "d drwx------\n"},
		{"rename to a directory, only the new one synced", func(t *testing.T, f *FS) {
			put(t, f, "/a", "data", true)
			must(t, f.Mkdir("/d", 0o700), f.SyncDir("/"), f.Rename("/a", "/d/a"), f.SyncDir("/d"))
		}, "a -rw------- \"data\" <nil>\nd drwx------\nd/a -rw------- \"data\" <nil>\n"},
		{"remove not synced", func(t *testing.T, f *FS) {
			put(t, f, "/a", "data", true)
			must(t, f.SyncDir("/"), f.Remove("/a"))
		}, "a -rw------- \"data\" <nil>\n"},
		{"directory synced, its parent not", func(t *testing.T, f *FS) {
			must(t, f.Mkdir("/d", 0o700))
			put(t, f, "/d/a", "data", true)
			must(t, f.SyncDir("/d"))
		}, ""},
		{"link without sync of the data", func(t *testing.T, f *FS) {
			put(t, f, "/a", "data", false)
			must(t, f.Link("/a", "/b"), f.SyncDir("/"))
		}, "a -rw------- \"\" <nil>\nb -rw------- \"\" <nil>\n"},
		{"everything", func(t *testing.T, f *FS) {
			must(t, f.Mkdir("/d", 0o700), f.Symlink("d", "/l"))
			put(t, f, "/d/a", "data", false)
			f.SyncAll()
		}, "d drwx------\nd/a -rw------- \"data\" <nil>\nl Lrwxrwxrwx -> d <nil>\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := New()
			tc.work(t, f)
			alive := dump(f, "/", ".")
			if got := dump(f.AfterCrash(Best), "/", "."); got != alive {
				t.Errorf("at best\n%swant\n%s", got, alive)
			}
			after := f.Crash()
			if got := dump(after, "/", "."); got != tc.want {
				t.Errorf("after the crash\n%swant\n%s", got, tc.want)
			}
			if got := dump(after.Crash(), "/", "."); got != tc.want {
				t.Errorf("after another crash\n%swant\n%s", got, tc.want)
			}
		})
	}
}

func TestCrashEndsFiles(t *testing.T) {
	f := New()
	w, err := f.OpenFile("/a", os.O_RDWR|os.O_CREATE, 0o600)
	must(t, err)
	f.Crash()
	if _, err := w.Write([]byte("x")); !errors.Is(err, ErrCrashed) {
		t.Errorf("Write: %v", err)
	}
	if err := w.Sync(); !errors.Is(err, ErrCrashed) {
		t.Errorf("Sync: %v", err)
	}
	if _, err := f.Open("/a"); !errors.Is(err, ErrCrashed) {
		t.Errorf("Open: %v", err)
	}
}

// Torn writes only ever hold sectors of the old or the new content.
func TestTornContent(t *testing.T) {
	f := New()
	old := strings.Repeat("o", 3*sector)
	put(t, f, "/a", old, true)
	must(t, f.SyncDir("/"))
	put(t, f, "/a", strings.Repeat("n", 5*sector+7), false)
	seen := map[string]bool{}
	for seed := range 200 {
		i := seed
		got, err := fsx.ReadFile(f.AfterCrash(func(n int) int { i = i*5 + 7; return i >> 3 % n }), "/a", 1<<20)
		must(t, err)
		var kinds string
		for off := 0; off < len(got); off += sector {
			part := string(got[off:min(off+sector, len(got))])
			if strings.Trim(part, part[:1]) != "" || !strings.Contains("on\x00", part[:1]) {
				t.Fatalf("sector at %d holds %q", off, part)
			}
			kinds += part[:1]
		}
		seen[kinds] = true
	}
	if len(seen) < 8 {
		t.Errorf("only %d outcomes: %v", len(seen), seen)
	}
}

// EachStep finds the forgotten steps of a careless writer.
func TestEachStepFindsMistakes(t *testing.T) {
	setup := func(f fsx.FS) error {
		return fsx.WriteFileDurable(f, "/a", 0o600, write("old"))
	}
	careless := func(opts fsx.WriteOptions) func(fsx.FS) error {
		return func(f fsx.FS) error { return fsx.WriteFile(f, "/a", opts, write("new content")) }
	}
	broken := 0
	EachStep(t, setup, careless(fsx.WriteOptions{Perm: 0o600, NoSync: true}), func(s Step, f *FS) {
		got, err := fsx.ReadFile(f, "/a", 100)
		if err != nil {
			t.Errorf("%v: %v", s, err)
		}
		if string(got) != "old" && string(got) != "new content" || s.Done && string(got) == "old" {
			broken++
		}
	})
	if broken == 0 {
		t.Error("a write without sync looked safe")
	}
}

func TestWriteFileDurableAtEveryStep(t *testing.T) {
	for _, left := range []bool{false, true} { // a temporary file left over
		setup := func(f fsx.FS) error {
			if err := fsx.MkdirAll(f, "/dir", 0o755); err != nil {
				return err
			}
			if left {
				w, err := f.OpenFile("/dir/a.tmp", os.O_WRONLY|os.O_CREATE, 0o400)
				if err != nil {
					return err
				}
				if err := w.Close(); err != nil {
					return err
				}
			}
			return fsx.WriteFileDurable(f, "/dir/a", 0o600, write("old"))
		}
		long := strings.Repeat("new content ", 10000)
		work := func(f fsx.FS) error { return fsx.WriteFileDurable(f, "/dir/a", 0o640, write(long)) }
		cuts := map[string]bool{}
		EachStep(t, setup, work, func(s Step, f *FS) {
			cuts[s.Cut] = true
			got, err := fsx.ReadFile(f, "/dir/a", 1<<20)
			if err != nil {
				t.Fatalf("%v: %v", s, err)
			}
			fi, err := f.Stat("/dir/a")
			must(t, err)
			switch {
			case string(got) == long && fi.Mode() == 0o640:
			case string(got) == "old" && fi.Mode() == 0o600 && !s.Done:
			default:
				t.Errorf("%v: %d bytes, mode %v", s, len(got), fi.Mode())
			}
			// Whatever was left behind does not hinder the next writer.
			must(t, work(f))
			if _, err := f.Stat("/dir/a.tmp"); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%v: temporary file: %v", s, err)
			}
		})
		for _, want := range []string{"sync /dir/a.tmp", "rename /dir/a.tmp -> /dir/a", "syncdir /dir", ""} {
			if !cuts[want] {
				t.Errorf("no crash before %q", want)
			}
		}
	}
}

func TestMkdirAllDurableAtEveryStep(t *testing.T) {
	setup := func(f fsx.FS) error { return f.Mkdir("/a", 0o755) }
	work := func(f fsx.FS) error { return fsx.MkdirAllDurable(f, "/a/b/c/d", 0o755) }
	EachStep(t, setup, work, func(s Step, f *FS) {
		if _, err := f.Stat("/a/b/c/d"); err != nil && s.Done {
			t.Errorf("%v: %v", s, err)
		}
		must(t, work(f))
	})
}
