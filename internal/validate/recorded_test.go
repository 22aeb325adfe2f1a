package validate_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gsprobackup/internal/event"
	"gsprobackup/internal/validate"
	"gsprobackup/test/golden"
)

const (
	dir  = "/home/omm/be/backups/n1/"
	file = "database/base/16384/14606" // 62 blocks
)

// good are C's lines for a sound backup of the recorded chain.
func good(id string) []string {
	return append(goodFiles(id), goodWAL(id)...)
}

func goodFiles(id string) []string {
	return []string{"INFO: Validating backup " + id, "INFO: Begin validate file", "INFO: Finish validate file. ", "INFO: Backup " + id + " data files are valid"}
}

func goodWAL(id string) []string {
	segment := map[string]string{"TOWAGE": "1D", "TOWAGJ": "1F", "TOWAGN": "21", "TOWAGR": "23"}[id]
	return []string{
		fmt.Sprintf("LOG: Thread [1]: Opening WAL segment \"%s%s/database/pg_xlog/0000000100000000000000%s\"", dir, id, segment),
		"INFO: Backup " + id + " WAL segments are valid",
	}
}

// revalidated is good after an earlier verdict.
func revalidated(id string) []string {
	lines := good(id)
	lines[0] = "INFO: Revalidating backup " + id
	return lines
}

// corrupt are the lines for a backup with the given causes in its files.
func corrupt(id string, causes ...string) []string {
	lines := []string{"INFO: Validating backup " + id, "INFO: Begin validate file"}
	return append(append(lines, causes...), "INFO: Finish validate file. ", "WARNING: Backup "+id+" data files are corrupted")
}

func orphaned(parent, status string, ids ...string) []string {
	var lines []string
	for _, id := range ids {
		lines = append(lines, fmt.Sprintf("WARNING: Backup %s is orphaned because his parent %s has status: %s", id, parent, status))
	}
	return lines
}

func lines(parts ...[]string) []string { return slices.Concat(parts...) }

var newer = lines(good("TOWAGR"), good("TOWAGN"), good("TOWAGJ"))

// corruptFULL is the end of each recording with a bad FULL.
func corruptFULL(causes ...string) []string {
	return lines(newer, corrupt("TOWAGE", causes...), orphaned("TOWAGE", "CORRUPT", "TOWAGJ", "TOWAGN", "TOWAGR"))
}

const fullCorrupt = "CORRUPT ORPHAN ORPHAN ORPHAN"

// recorded are the cases of golden 08_errors_corruption [048]–[094], with
// another file where ours has fewer, and where we differ from C why.
var recorded = []struct {
	name    string
	damage  func(w *world)
	want    []string
	status  string // afterwards, FULL first
	corrupt bool
	locked  bool
}{
	{
		name: "no damage", damage: func(*world) {}, want: lines(newer, good("TOWAGE")), status: "OK OK OK OK",
	},
	{
		name:   "flip bytes in a data file of the FULL [048]",
		damage: func(w *world) { w.flip("TOWAGE", file, 8+4000) },
		want: corruptFULL("WARNING: File: base/16384/14606 blknum 0 have wrong checksum: *",
			"WARNING: Invalid CRC of backup file \""+dir+"TOWAGE/"+file+"\": *. Expected *"),
		status: fullCorrupt, corrupt: true,
	},
	{
		name:   "truncate a data file of the FULL [055]",
		damage: func(w *world) { w.must(os.Truncate(w.path("TOWAGE", file), 8192)) },
		want:   corruptFULL("WARNING: Invalid size of backup file \"" + dir + "TOWAGE/" + file + "\" : 8192. Expected 508400"),
		status: fullCorrupt, corrupt: true,
	},
	{
		name:   "remove a data file of the FULL [057]",
		damage: func(w *world) { w.must(os.Remove(w.path("TOWAGE", file))) },
		want:   corruptFULL("WARNING: Backup file \"" + dir + "TOWAGE/" + file + "\" is not found"),
		status: fullCorrupt, corrupt: true,
	},
	{
		// C warns only and leaves the backup OK (formats.md §14 row 10).
		name:   "flip bytes in a non-data file [059]",
		damage: func(w *world) { w.flip("TOWAGE", "database/PG_VERSION", 0) },
		want:   corruptFULL("WARNING: Invalid CRC of backup file \"" + dir + "TOWAGE/database/PG_VERSION\" : *. Expected 596A1EBC"),
		status: fullCorrupt, corrupt: true,
	},
	{
		// C stops with an ERROR at this line and leaves the rest unchecked.
		name:   "damage backup_content.control [065]",
		damage: func(w *world) { w.replace("TOWAGJ", "backup_content.control", `"size"`, `"sIze"`) },
		want: lines(good("TOWAGR"), good("TOWAGN"), []string{
			"INFO: Validating backup TOWAGJ",
			"WARNING: Invalid CRC of backup control file '" + dir + "TOWAGJ/backup_content.control': *. Expected: *",
			"WARNING: Backup TOWAGJ file list is corrupted",
			"WARNING: Backup TOWAGJ data files are corrupted",
		}, orphaned("TOWAGJ", "CORRUPT", "TOWAGN", "TOWAGR"), good("TOWAGE")),
		status: "OK CORRUPT ORPHAN ORPHAN", corrupt: true,
	},
	{
		name:   "empty backup.control [067]",
		damage: func(w *world) { w.must(os.Truncate(w.path("TOWAGJ", "backup.control"), 0)) },
		want: lines([]string{
			"WARNING: Backup TOWAGR is orphaned because his parent 0 is missing", "WARNING: Backup TOWAGN is orphaned because his parent 0 is missing",
			"WARNING: Backup TOWAGJ has missing parent 0",
		}, good("TOWAGE")),
		status: "OK UNKNOWN ORPHAN ORPHAN", corrupt: true,
	},
	{
		name: "garbage in backup.control [071]",
		damage: func(w *world) {
			w.edit("TOWAGJ", "backup.control", func(b []byte) []byte { return append(b, "garbage = 1\n"...) })
		},
		want: lines(newer, good("TOWAGE")), status: "OK OK OK OK",
	},
	{
		name:   "status CORRUPT by hand [073]",
		damage: func(w *world) { w.replace("TOWAGJ", "backup.control", "status = OK", "status = CORRUPT") },
		want: lines(orphaned("TOWAGJ", "CORRUPT", "TOWAGR", "TOWAGN"), revalidated("TOWAGJ"), revalidated("TOWAGN"), revalidated("TOWAGR"),
			good("TOWAGE")),
		status: "OK OK OK OK",
	},
	{
		name:   "status RUNNING by hand [075]",
		damage: func(w *world) { w.replace("TOWAGR", "backup.control", "status = OK", "status = RUNNING") },
		want: lines([]string{"WARNING: Backup TOWAGR has status RUNNING, change it to ERROR and skip validation"},
			good("TOWAGN"), good("TOWAGJ"), good("TOWAGE")),
		status: "OK OK OK ERROR", corrupt: true,
	},
	{
		name:   "status bogus by hand [077]",
		damage: func(w *world) { w.replace("TOWAGR", "backup.control", "status = OK", "status = BOGUS") },
		want: lines([]string{"WARNING: Backup TOWAGR has status UNKNOWN. Skip validation."},
			good("TOWAGN"), good("TOWAGJ"), good("TOWAGE")),
		status: "OK OK OK UNKNOWN", corrupt: true,
	},
	{
		// The first array of the cut map; C's was 14486's, too.
		name:   "damage page_header_map [081]",
		damage: func(w *world) { w.flip("TOWAGE", "page_header_map", 12) },
		want: corruptFULL("WARNING: An error occured during metadata decompression for file \"*\": data error", //nolint:misspell // the C tool's spelling
			"WARNING: Cannot get page headers for file \""+dir+"TOWAGE/database/*\""),
		status: fullCorrupt, corrupt: true,
	},
	{
		name:   "missing parent directory [083]",
		damage: func(w *world) { w.must(os.RemoveAll(w.path("TOWAGJ", ""))) },
		want: lines([]string{
			"WARNING: Backup TOWAGR is orphaned because his parent TOWAGJ is missing", "WARNING: Backup TOWAGN is orphaned because his parent TOWAGJ is missing",
		}, good("TOWAGE")),
		status: "OK ORPHAN ORPHAN", corrupt: true,
	},
	{
		name:   "missing WAL in the stream backup [086]",
		damage: func(w *world) { w.must(os.Remove(w.path("TOWAGN", "database/pg_xlog/000000010000000000000021"))) },
		want: lines(good("TOWAGR"), corrupt("TOWAGN", "WARNING: Backup file \""+dir+"TOWAGN/database/pg_xlog/000000010000000000000021\" is not found"),
			orphaned("TOWAGN", "CORRUPT", "TOWAGR"), good("TOWAGJ"), good("TOWAGE")),
		status: "OK OK CORRUPT ORPHAN", corrupt: true,
	},
	{
		name: "stray directories in the instance [088]",
		damage: func(w *world) {
			for _, name := range []string{"ABCDEF", "XYZ"} {
				w.must(os.Mkdir(w.path(name, ""), 0o700))
			}
		},
		want: lines(newer, good("TOWAGE"),
			[]string{"WARNING: Backup ABCDEF has missing parent 0", "WARNING: Backup XYZ has missing parent 0"}),
		status: "UNKNOWN UNKNOWN OK OK OK OK", corrupt: true,
	},
	{
		name: "other program-version [090]",
		damage: func(w *world) {
			w.replace("TOWAGE", "backup.control", "program-version = 2.4.2", "program-version = 9.9.9")
		},
		want: lines(newer, []string{"ERROR: gs_probackup binary version is 2.4.2, but backup TOWAGE version is 9.9.9. " +
			"gs_probackup do not guarantee to be forward compatible. Please upgrade gs_probackup binary."}),
		status: "OK OK OK OK",
	},
	{
		name:   "lock file of a living process [093]",
		damage: func(w *world) { w.hold("TOWAGE") },
		want: lines(newer, []string{
			"WARNING: Process * is using backup TOWAGE and still is running", "WARNING: Cannot lock backup TOWAGE directory, skip validation",
		}),
		status: "OK OK OK OK", locked: true,
	},
}

func TestValidateSaysWhatCSaid(t *testing.T) {
	for _, tt := range recorded {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, golden.Mixed)
			tt.damage(w)
			got, res := w.validate()
			compareLines(t, got, append([]string{"INFO: Validate backups of the instance 'n1'"}, tt.want...))
			if res.Corrupt != tt.corrupt || res.Locked != tt.locked {
				t.Errorf("ended with %+v", res)
			}
			if got := w.statuses(); got != tt.status {
				t.Errorf("statuses %s, want %s", got, tt.status)
			}
		})
	}
}

// compareLines: a * in want stands for any text. What the catalog said of
// control files comes at other times than in C and is left out.
func compareLines(t *testing.T, got, want []string) {
	t.Helper()
	got = slices.DeleteFunc(slices.Clone(got), func(s string) bool {
		return strings.Contains(s, `backup.control"`) || strings.Contains(s, "Invalid STATUS")
	})
	for i := range max(len(got), len(want)) {
		switch {
		case i >= len(got):
			t.Fatalf("missing: %s", want[i])
		case i >= len(want):
			t.Fatalf("too much: %s", got[i])
		case !matches(want[i], got[i]):
			t.Fatalf("line %d:\n got %s\nwant %s", i+1, got[i], want[i])
		}
	}
}

func matches(pattern, s string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return s == pattern
	}
	rest, ok := strings.CutPrefix(s, parts[0])
	for _, p := range parts[1 : len(parts)-1] {
		if !ok {
			return false
		}
		_, rest, ok = strings.Cut(rest, p)
	}
	return ok && strings.HasSuffix(rest, parts[len(parts)-1])
}

// A backup that somebody deletes while others, or itself, are validated is
// passed over, and nothing is wrong with those that are left.
func TestDeletedMeanwhile(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		at     func(full string, e event.Event) bool
		delete func(w *world, full string) error
	}{
		"before its turn": {
			func(_ string, e event.Event) bool { _, ok := e.(validate.FilesStarted); return ok },
			func(w *world, full string) error { return os.Remove(w.path(full, "backup.control")) },
		},
		"the whole directory": {
			func(_ string, e event.Event) bool { _, ok := e.(validate.FilesStarted); return ok },
			func(w *world, full string) error { return os.RemoveAll(filepath.Dir(w.path(full, "backup.control"))) },
		},
		"while it is checked": {
			func(full string, e event.Event) bool {
				s, ok := e.(validate.Started)
				return ok && s.ID.String() == full
			},
			func(w *world, full string) error { return os.RemoveAll(filepath.Dir(w.path(full, "backup.control"))) },
		},
		"begun": {
			func(full string, e event.Event) bool { _, ok := e.(validate.FilesStarted); return ok },
			func(w *world, full string) error {
				w.replace(full, "backup.control", "status = OK", "status = DELETING")
				return nil
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, golden.Mixed)
			full := w.c.Backups[0]
			w.before = func(e event.Event) {
				if tt.at(full, e) {
					w.before = nil
					w.must(tt.delete(w, full))
				}
			}
			said, res := w.validate()
			want := lines([]string{"INFO: Validate backups of the instance 'n1'"}, newer, []string{"WARNING: Backup " + full + " was deleted meanwhile, skip validation"})
			said = slices.DeleteFunc(said, func(line string) bool { return line == "INFO: Validating backup "+full })
			compareLines(t, said, want)
			if res.Locked || res.Corrupt {
				t.Errorf("%+v", res)
			}
		})
	}
}
