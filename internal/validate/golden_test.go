package validate_test

import (
	"context"
	"fmt"
	"hash/crc32"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gsprobackup/internal/catalog"
	"gsprobackup/internal/validate"
	"gsprobackup/test/golden"
)

// Catalogs of every codec are found good, by one worker and by four.
func TestGoldenCatalogsAreValid(t *testing.T) {
	for _, c := range golden.Small {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, c.Name)
			w.threads = 4
			said, res := w.validate()
			for _, line := range said {
				lost := !c.HasWAL() && (strings.Contains(line, "WAL") || strings.Contains(line, "not enough"))
				if strings.HasPrefix(line, "WARNING") && !lost {
					t.Error(line)
				}
			}
			want := strings.TrimSpace(strings.Repeat("OK ", len(c.Backups)))
			if !c.HasWAL() { // the recording was cut; no files, no records
				want = "CORRUPT"
			}
			if got := w.statuses(); got != want || res.Corrupt == c.HasWAL() {
				t.Errorf("statuses %s, %+v", got, res)
			}
		})
	}
}

// backupOf finds one backup for checks without its chain.
func (w *world) backupOf(id string) (*catalog.Backup, validate.Deps) {
	w.t.Helper()
	inst := w.instance()
	list, err := inst.Backups(context.Background())
	w.must(err)
	for _, b := range list {
		if b.ID.String() == id {
			return b, validate.Deps{FS: w.m.FS(), Instance: inst, Sink: w}
		}
	}
	w.t.Fatalf("no backup %s", id)
	return nil, validate.Deps{}
}

// files checks the files of one backup and returns what was said and whether
// they are good.
func (w *world) files(id string, opts validate.Options) ([]string, bool) {
	w.t.Helper()
	b, deps := w.backupOf(id)
	w.said = nil
	w.must(validate.Files(context.Background(), deps, b, opts))
	return w.said, b.Status.Usable()
}

// One changed bit anywhere in what a backup stores is found, page checks or
// not: in each file, and in 60 more places.
func TestEveryFlippedBitIsFound(t *testing.T) {
	for _, tt := range []struct{ catalog, id string }{{golden.Mixed, "TOWAGN"}, {golden.LZ4, "TOWA5X"}, {golden.PGLZ, "TOWA5M"}, {golden.Zstd, "TOWA62"}} {
		t.Run(tt.id, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, tt.catalog)
			names, total := w.stored(tt.id)
			random := rand.New(rand.NewPCG(1, uint64(len(names))))
			for i, n := range names {
				w.flipAndCheck(tt.id, n.name, int([]int64{0, n.size / 2, n.size - 1}[i%3]), i%2 == 0)
			}
			for i := range 60 {
				at := random.Int64N(total)
				for _, n := range names {
					if at < n.size {
						w.flipAndCheck(tt.id, n.name, int(at), i%2 == 0)
						break
					}
					at -= n.size
				}
			}
		})
	}
}

type storedFile struct {
	name string
	size int64 // that matters
}

func (w *world) stored(id string) (list []storedFile, total int64) {
	w.t.Helper()
	root := w.path(id, "")
	w.must(filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == "backup.control" {
			return err
		}
		fi, err := d.Info()
		if err != nil {
			return err
		}
		f := storedFile{strings.TrimPrefix(name, root), fi.Size()}
		switch {
		case d.Name() == "pg_control":
			f.size = 228 // C leaves garbage behind the control data
		case strings.Contains(name, "/pg_xlog/"):
			f.size = 100_000 // so that not all random places lie there
		}
		list = append(list, f)
		total += f.size
		return nil
	}))
	return list, total
}

func (w *world) flipAndCheck(id, name string, at int, pages bool) {
	w.t.Helper()
	w.flip(id, name, at)
	said, ok := w.files(id, validate.Options{Threads: 2, SkipBlockValidation: !pages})
	if text := strings.Join(said, "\n"); ok || !strings.Contains(text, "corrupted") {
		w.t.Errorf("%s: byte %d, page checks %v: %s", name, at, pages, text)
	}
	w.flip(id, name, at)
}

// Both kinds of check find the same good.
func TestSkipBlockValidation(t *testing.T) {
	t.Parallel()
	w := newWorld(t, golden.Zlib)
	if said, ok := w.files("TOWA57", validate.Options{Threads: 2, SkipBlockValidation: true}); !ok {
		t.Error(said)
	}
}

// Without its header map no data file can be read (golden 08 [079]).
func TestHeaderMapGone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, golden.Mixed)
	w.must(os.Remove(w.path("TOWAGE", "page_header_map")))
	said, ok := w.files("TOWAGE", validate.Options{})
	text := strings.Join(said, "\n")
	open := strings.Count(text, `WARNING: Cannot open header file1 "`+dir+`TOWAGE/page_header_map": No such file or directory`)
	get := strings.Count(text, `WARNING: Cannot get page headers for file "`+dir+`TOWAGE/database/`)
	if list, err := os.ReadFile(w.path("TOWAGE", "backup_content.control")); err != nil || ok || open == 0 || open != get || get != strings.Count(string(list), `"n_headers"`) {
		t.Errorf("%v, %v:\n%s", ok, err, text)
	}
}

// editList changes the list and lets the control file know its CRC.
func (w *world) editList(id string, change func(string) string) {
	w.t.Helper()
	w.edit(id, "backup_content.control", func(b []byte) []byte {
		after := []byte(change(string(b)))
		if string(after) == string(b) {
			w.t.Fatal("the list stayed as it was")
		}
		crc := crc32.Checksum(after, crc32.MakeTable(crc32.Castagnoli))
		w.setControl(id, "content-crc", fmt.Sprint(crc))
		return after
	})
}

// setControl changes a value of the control file; "" takes it out.
func (w *world) setControl(id, key, value string) {
	w.t.Helper()
	re := regexp.MustCompile(`(?m)^` + key + ` = .*$`)
	w.edit(id, "backup.control", func(b []byte) []byte {
		if !re.Match(b) {
			w.t.Fatalf("control file has no %s", key)
		}
		if value == "" {
			return re.ReplaceAll(b, []byte("# gone"))
		}
		return re.ReplaceAll(b, []byte(key+" = "+value))
	})
}

// A FULL cannot have unchanged files.
func TestUnchangedFileInFull(t *testing.T) {
	t.Parallel()
	w := newWorld(t, golden.Mixed)
	w.editList("TOWAGE", func(s string) string {
		return strings.Replace(s, `"path":"PG_VERSION", "size":"4"`, `"path":"PG_VERSION", "size":"-1"`, 1)
	})
	said, ok := w.files("TOWAGE", validate.Options{})
	want := `WARNING: Backup file "` + dir + `TOWAGE/database/PG_VERSION" has invalid size. Possible metadata corruption.`
	if ok || !strings.Contains(strings.Join(said, "\n"), want) {
		t.Error(said)
	}
}

// A list without places in the header map still has pages to check.
func TestFramesWithoutHeaderMap(t *testing.T) {
	t.Parallel()
	w := newWorld(t, golden.Mixed)
	keys := regexp.MustCompile(`,"n_headers":"\d+","hdr_crc":"\d+","hdr_off":"\d+","hdr_size":"\d+"`)
	w.editList("TOWAGN", func(s string) string { return keys.ReplaceAllString(s, "") })
	w.must(os.Remove(w.path("TOWAGN", "page_header_map")))
	if said, ok := w.files("TOWAGN", validate.Options{}); !ok {
		t.Error(said)
	}
	w.flip("TOWAGN", "database/base/16384/14481", 50)
	if said, ok := w.files("TOWAGN", validate.Options{}); ok {
		t.Error(said)
	}
}

// Records are checked even where the bytes are those that were listed.
func TestWALRecords(t *testing.T) {
	t.Parallel()
	const segment = "database/pg_xlog/000000010000000000000023"
	for _, at := range []int{
		0x28 + 33, // body of the first record
		0x2,       // page header
		0x1E8 + 4, // the last record
	} {
		t.Run(fmt.Sprintf("byte %#x", at), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, golden.Mixed)
			w.flip("TOWAGR", segment, at)
			raw, err := os.ReadFile(w.path("TOWAGR", segment))
			w.must(err)
			crc := crc32.Checksum(raw, crc32.MakeTable(crc32.Castagnoli))
			w.editList("TOWAGR", func(s string) string {
				return regexp.MustCompile(`(23", "size":"16777216".*?"crc":")\d+`).ReplaceAllString(s, fmt.Sprintf("${1}%d", crc))
			})
			said, res := w.validate()
			text := strings.Join(said, "\n")
			for _, want := range []string{
				"INFO: Backup TOWAGR data files are valid",
				"WARNING: There are not enough WAL records to consistenly restore backup TOWAGR from START LSN: 0/23000028 to STOP LSN: 0/230001E8", //nolint:misspell // the C tool's spelling
				"WARNING: Backup TOWAGR WAL segments are corrupted",
			} {
				if !strings.Contains(text, want) {
					t.Errorf("missing: %s", want)
				}
			}
			if got := w.statuses(); got != "OK OK OK CORRUPT" || !res.Corrupt {
				t.Errorf("statuses %s, %+v\n%s", got, res, text)
			}
		})
	}
}

// What backup.control says is said elsewhere, too.
func TestControlIsCompared(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ catalog, id, key, value, want string }{
		{golden.Mixed, "TOWAGE", "block-size", "4096", "block-size 4096"},
		{golden.Mixed, "TOWAGE", "xlog-block-size", "4096", "xlog-block-size 4096"},
		{golden.Mixed, "TOWAGE", "data-bytes", "1", "data-bytes 1"},
		{golden.Mixed, "TOWAGE", "wal-bytes", "1", "wal-bytes 1"},
		{golden.Mixed, "TOWAGE", "stop-lsn", "0/1C0001E8", "stop-lsn 0/1C0001E8 before"},
		{golden.Mixed, "TOWAGE", "start-lsn", "0/1D000128", "behind that of backup_label"},
		{golden.Mixed, "TOWAGE", "timelineid", "2", "backup_label has 1"},
		{golden.Mixed, "TOWAGJ", "backup-mode", "FULL", "a FULL backup with parent TOWAGE"},
		{golden.Zlib, "TOWA57", "external-dirs", "", "external-dirs has 0"},
	} {
		t.Run(tt.key, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, tt.catalog)
			w.setControl(tt.id, tt.key, tt.value)
			said, ok := w.files(tt.id, validate.Options{SkipBlockValidation: true})
			text := strings.Join(said, "\n")
			if ok || !strings.Contains(text, "WARNING: control file: ") || !strings.Contains(text, tt.want) {
				t.Errorf("found good: %v\n%s", ok, text)
			}
		})
	}
}

// What older releases counted is their own.
func TestCountersOfOldReleases(t *testing.T) {
	t.Parallel()
	w := newWorld(t, golden.Mixed)
	w.setControl("TOWAGE", "data-bytes", "1")
	w.edit("TOWAGE", "backup.control", func(b []byte) []byte {
		before, _, _ := strings.Cut(string(b), "\n#Database Storage type")
		return []byte(before)
	})
	if said, ok := w.files("TOWAGE", validate.Options{SkipBlockValidation: true}); !ok {
		t.Error(said)
	}
}

// A backup of shared storage is none of this instance (spec/formats.md §12).
func TestOtherStorage(t *testing.T) {
	t.Parallel()
	w := newWorld(t, golden.Mixed)
	w.setControl("TOWAGE", "storage-type", "DSS")
	said, ok := w.files("TOWAGE", validate.Options{})
	want := []string{"WARNING: Backup TOWAGE is not suit for instance n1, because they have different storage type. Change it to CORRUPT and skip validation."}
	if ok || !slices.Equal(said, want) || !strings.HasPrefix(w.statuses(), "CORRUPT OK") {
		t.Errorf("found good: %v, %s\n%s", ok, w.statuses(), strings.Join(said, "\n"))
	}
}
