package restore_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gsprobackup/internal/crc32c"
	"gsprobackup/internal/fsx"
	"gsprobackup/internal/fsx/crashfs"
	pg "gsprobackup/internal/pgdata"
	"gsprobackup/internal/remote"
	"gsprobackup/internal/restore"
	"gsprobackup/test/golden"
)

// trimList leaves a few lines in the list of a backup.
func (w *world) trimList(id string, keep *regexp.Regexp) {
	w.t.Helper()
	name := w.path(id, "backup_content.control")
	raw, err := os.ReadFile(name)
	w.must(err)
	var out []byte
	for line := range strings.Lines(string(raw)) {
		rel, _, _ := strings.Cut(strings.TrimPrefix(line, `{"path":"`), `"`)
		if keep.MatchString(rel) {
			out = append(out, line...)
		}
	}
	w.must(os.WriteFile(name, out, 0o600))
	w.setControl(id, "content-crc", fmt.Sprint(crc32.Checksum(out, crc32.MakeTable(crc32.Castagnoli))))
}

// few are files of each kind.
var few = regexp.MustCompile(`^(base|base/16384|global|pg_xlog|pg_tblspc|pg_tblspc/.*|pg_location.*|` +
	`PG_VERSION|backup_label|global/pg_control|global/pg_filenode\.map|base/16384/(14606|16394)|postgresql\.conf)$`)

// fewFiles makes a catalog small enough to try everything at each step.
func fewFiles(t *testing.T) *world {
	w := newWorld(t, golden.Mixed)
	for _, id := range w.c.Backups {
		w.trimList(id, few)
	}
	return w
}

// restoreInto restores into a file system of its own.
func (w *world) restoreInto(fsys fsx.FS, id string, mode restore.Incremental) error {
	opts := w.again(id, mode)
	opts.Threads, opts.NoSync = 1, false
	return restore.Run(context.Background(), restore.Deps{FS: w.m.FS(), Host: remote.Local(fsys)}, opts)
}

// memTree reads a file system in memory: names, modes, contents.
func memTree(t testing.TB, fsys fsx.FS) map[string]string {
	t.Helper()
	out := map[string]string{}
	var walk func(dir string)
	walk = func(dir string) {
		entries, err := fsys.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			name := path.Join(dir, e.Name())
			fi, err := fsys.Lstat(name)
			if err != nil {
				t.Fatal(err)
			}
			text := fi.Mode().String()
			switch {
			case fi.IsDir():
				walk(name)
			case fi.Mode()&fs.ModeSymlink != 0:
				to, err := fsys.Readlink(name)
				if err != nil {
					t.Fatal(err)
				}
				text += to
			default:
				content, err := fsx.ReadFile(fsys, name, 1<<30)
				if err != nil {
					t.Fatal(err)
				}
				text += string(content)
			}
			if path.Base(name) != ".gs_probackup_restore" { // may stay behind, means nothing then
				out[name] = text
			}
		}
	}
	walk("/")
	return out
}

// oldCluster puts a cluster of an older backup into a file system, which has
// run since and has more than the backup.
func (w *world) oldCluster(fsys fsx.FS) error {
	if err := fsx.MkdirAll(fsys, "/home/omm", 0o755); err != nil {
		return err
	}
	if err := w.restoreInto(fsys, "TOWAGE", restore.IncrementalNone); err != nil {
		return err
	}
	control := pgdata + "/" + pg.ControlPath
	raw, err := fsx.ReadFile(fsys, control, pg.ControlFileSize)
	if err != nil {
		return err
	}
	binary.LittleEndian.PutUint64(raw[atRedo:], 0x70000028)
	binary.LittleEndian.PutUint32(raw[atCRC:], crc32c.Sum(raw[:atCRC]))
	for name, content := range map[string]string{
		control: string(raw), pgdata + "/postgresql.conf": "changed", pgdata + "/base/16384/999": "new", pgdata + "/pg_log/x": "line",
	} {
		if err := fsx.MkdirAll(fsys, path.Dir(name), 0o700); err != nil {
			return err
		}
		if err := fsx.WriteFileDurable(fsys, name, 0o600, func(out io.Writer) error {
			_, err := io.WriteString(out, content)
			return err
		}); err != nil {
			return err
		}
	}
	return fsys.Remove(pgdata + "/backup_label")
}

// A restore that is killed before any of its steps, or loses power there,
// leaves a directory that no server starts on, or one that is as it was, or
// complete. The same command then completes it, durably.
func TestKilledAtEachStep(t *testing.T) {
	for _, tt := range []struct {
		name string
		mode restore.Incremental
	}{
		{"plain", restore.IncrementalNone},
		{"checksum", restore.IncrementalChecksum},
		{"lsn", restore.IncrementalLSN},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := fewFiles(t)
			setup := w.oldCluster
			if tt.mode == restore.IncrementalNone {
				setup = func(fsys fsx.FS) error { return fsx.MkdirAll(fsys, "/home/omm", 0o755) }
			}
			before, whole := crashfs.New(), crashfs.New()
			w.must(setup(before))
			w.must(setup(whole))
			w.must(w.restoreInto(whole, "TOWAGJ", tt.mode))
			old, want := memTree(t, before), memTree(t, whole)
			if maps.Equal(old, want) || len(want) < 15 {
				t.Fatalf("nothing to restore: %d names", len(want))
			}
			crashes, starts := 0, 0
			crashfs.EachStep(t, setup, func(fsys fsx.FS) error { return w.restoreInto(fsys, "TOWAGJ", tt.mode) },
				func(step crashfs.Step, after *crashfs.FS) {
					if strings.HasPrefix(step.How, "chance") && step.How > "chance 1" {
						return // enough
					}
					crashes++
					_, err := after.Stat(pgdata + "/" + pg.ControlPath)
					startable := err == nil
					if startable {
						starts++
					}
					found := memTree(t, after)
					complete := startable && maps.Equal(found, want)
					if startable && !complete && !sameBut(found, old) {
						t.Fatalf("%v: a server would start on half a restore: %v", step, diffNames(found, want))
					}
					err = w.restoreInto(after, "TOWAGJ", tt.mode)
					if refused := complete && tt.mode != restore.IncrementalChecksum; (err != nil) != refused {
						t.Fatalf("%v: again: %v", step, err)
					}
					if found := memTree(t, after.Crash()); !maps.Equal(found, want) {
						t.Fatalf("%v: again: differs in %v", step, diffNames(found, want))
					}
				})
			if crashes < 300 || starts < 10 {
				t.Errorf("%d crashes, %d directories could be started", crashes, starts)
			}
		})
	}
}

// sameBut allows for our record, under its temporary name.
func sameBut(got, want map[string]string) bool {
	got = maps.Clone(got)
	delete(got, pgdata+"/.gs_probackup_restore.tmp")
	return maps.Equal(got, want)
}

func diffNames(got, want map[string]string) []string {
	var names []string
	for name, text := range want {
		if got[name] != text {
			names = append(names, fmt.Sprintf("%s: %.40q, want %.40q", name, got[name], text))
		}
	}
	for name := range got {
		if _, ok := want[name]; !ok {
			names = append(names, "+"+name)
		}
	}
	slices.Sort(names)
	return names
}
