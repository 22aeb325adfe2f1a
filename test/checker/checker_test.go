package checker

import (
	"archive/tar"
	"errors"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// unpackGolden lays a catalog around testdata/full_zlib.tar.zst: a FULL backup
// by the C tool (golden 02b_backups_compressed, TOWA57) with most of its files
// taken out and the sums set anew; lines, frames and files are C's own.
func unpackGolden(t *testing.T) (catalog, backup string) {
	t.Helper()
	catalog = filepath.Join(t.TempDir(), "catalog")
	instance := filepath.Join(catalog, "backups", "n1")
	for _, dir := range []string{catalog, filepath.Dir(instance), instance, filepath.Join(catalog, "wal"), filepath.Join(catalog, "wal", "n1")} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	conf := "# Backup instance information\npgdata = /home/omm/data\nsystem-identifier = 215046882207064539\n# Connection parameters\npgdatabase = testdb\n"
	write(t, filepath.Join(instance, "pg_probackup.conf"), []byte(conf), 0o600)
	f, err := os.Open("testdata/full_zlib.tar.zst")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := zstd.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Join(instance, h.Name)
		if h.Typeflag == tar.TypeDir {
			if err := os.Mkdir(name, 0o700); err != nil {
				t.Fatal(err)
			}
			continue
		}
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		write(t, name, data, h.FileInfo().Mode().Perm())
	}
	return catalog, filepath.Join(instance, "TOWA57")
}

func write(t *testing.T, name string, data []byte, perm fs.FileMode) {
	t.Helper()
	if err := os.WriteFile(name, data, perm); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(name, perm); err != nil { // whatever the umask
		t.Fatal(err)
	}
}

func problems(t *testing.T, dir string, opts Options) []Problem {
	t.Helper()
	list, _, err := Check(dir, opts)
	if err != nil {
		t.Fatal(err)
	}
	return Errors(list)
}

func TestGoldenBackupHasNoProblems(t *testing.T) {
	catalog, _ := unpackGolden(t)
	list, stats, err := Check(catalog, Options{Foreign: true})
	if err != nil || len(list) != 0 {
		t.Errorf("%v, %v", list, err)
	}
	if stats.DataFiles != 17 || stats.Pages != 306 {
		t.Errorf("looked at %+v", stats)
	}
	// C's padding is garbage, which our own writer must not leave.
	strict := problems(t, catalog, Options{})
	if len(strict) == 0 {
		t.Error("garbage padding was accepted in strict mode")
	}
	for _, p := range strict {
		if !strings.Contains(p.Detail, "padding") && !strings.Contains(p.Detail, "dummy") && !strings.Contains(p.Detail, "not zero") && p.Rule != "§7.7" {
			t.Error(p)
		}
	}
}

// One changed byte anywhere in a stored file is found.
func TestEveryFlippedByteIsFound(t *testing.T) {
	catalog, backup := unpackGolden(t)
	err := filepath.WalkDir(backup, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		end := len(data)
		if d.Name() == "pg_control" {
			end = 228 // the rest is undefined in C's catalogs
		}
		for _, at := range []int{0, end / 3, end - 1} {
			data[at] ^= 0x04
			write(t, name, data, 0o600)
			if len(problems(t, catalog, Options{Foreign: true})) == 0 {
				t.Errorf("%s: byte %d", name, at)
			}
			data[at] ^= 0x04
		}
		write(t, name, data, d.Type().Perm()|0o600)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Each line of the control file has its place and its form.
func TestControlMutations(t *testing.T) {
	catalog, backup := unpackGolden(t)
	const rel = "backups/n1/TOWA57/backup.control"
	name := filepath.Join(backup, "backup.control")
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(strings.TrimSuffix(string(text), "\n"), "\n")
	try := func(what, text string) {
		t.Helper()
		write(t, name, []byte(text), 0o600)
		for _, p := range problems(t, catalog, Options{}) {
			if p.Path == rel || strings.Contains(p.Detail, "status") {
				return
			}
		}
		t.Errorf("accepted: %s", what)
	}
	for i, line := range lines {
		rest := strings.Join(lines[:i], "") + strings.Join(lines[i+1:], "")
		if !strings.HasPrefix(line, "external-dirs") { // its absence is told by other checks
			try("without "+line, rest)
		}
		try("twice "+line, strings.Join(lines[:i+1], "")+line+strings.Join(lines[i:], ""))
		if !strings.HasPrefix(line, "external-dirs") && !strings.HasPrefix(line, "#") && line != "\n" {
			try("value of "+line, strings.Join(lines[:i], "")+strings.TrimSuffix(line, "\n")+"~\n"+strings.Join(lines[i+1:], ""))
		}
	}
	try("unknown key", string(text)+"new-key = 1\n")
	try("no final line feed", strings.TrimSuffix(string(text), "\n"))
	try("heading", strings.Replace(string(text), "#Compatibility", "# Compatibility", 1))
	try("lower-case status", strings.Replace(string(text), "status = OK", "status = ok", 1))
	try("padded LSN", strings.Replace(string(text), "start-lsn = 0/", "start-lsn = 0/0", 1))
	for _, key := range []string{"data-bytes", "wal-bytes", "uncompressed-bytes"} {
		try(key, strings.Replace(string(text), key+" = ", key+" = 1", 1))
	}
}

// editList changes the list and signs it again, so that only the change itself
// can be found.
func editList(t *testing.T, backup string, edit func(string) string) {
	t.Helper()
	name := filepath.Join(backup, "backup_content.control")
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	edited := []byte(edit(string(text)))
	if string(edited) == string(text) {
		t.Fatal("the edit changed nothing")
	}
	write(t, name, edited, 0o600)
	name = filepath.Join(backup, "backup.control")
	control, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	crc := "content-crc = " + strconv.FormatUint(uint64(crc32.Checksum(edited, crcTable)), 10)
	write(t, name, regexp.MustCompile(`content-crc = \d+`).ReplaceAll(control, []byte(crc)), 0o600)
}

func TestListMutations(t *testing.T) {
	catalog, backup := unpackGolden(t)
	listName, controlName := filepath.Join(backup, "backup_content.control"), filepath.Join(backup, "backup.control")
	list, err := os.ReadFile(listName)
	if err != nil {
		t.Fatal(err)
	}
	control, err := os.ReadFile(controlName)
	if err != nil {
		t.Fatal(err)
	}
	replace := func(old, with string) func(string) string {
		return func(s string) string { return strings.Replace(s, old, with, 1) }
	}
	inLine := func(path, old, with string) func(string) string {
		return func(s string) string {
			start := strings.Index(s, `{"path":"`+path+`"`)
			end := start + strings.IndexByte(s[start:], '\n')
			return s[:start] + regexp.MustCompile(old).ReplaceAllString(s[start:end], with) + s[end:]
		}
	}
	for what, edit := range map[string]func(string) string{
		"comma without space":       replace(`", "size"`, `","size"`),
		"optional key with space":   replace(`,"segno"`, `, "segno"`),
		"number not quoted":         replace(`"is_cfs":"0"`, `"is_cfs":0`),
		"leading zero":              inLine("PG_VERSION", `"size":"4"`, `"size":"04"`),
		"keys swapped":              inLine("PG_VERSION", `"is_datafile":"0", "is_cfs":"0"`, `"is_cfs":"0", "is_datafile":"0"`),
		"no file_type":              inLine("PG_VERSION", `, "file_type":"0"`, ``),
		"unknown algorithm":         inLine("PG_VERSION", `"compress_alg":"none"`, `"compress_alg":"snappy"`),
		"algorithm of a plain file": inLine("PG_VERSION", `"compress_alg":"none"`, `"compress_alg":"zlib"`),
		"line missing":              inLine("PG_VERSION", `.*`, `{}`),
		"line twice":                func(s string) string { return s + s[:strings.IndexByte(s, '\n')+1] },
		"size":                      inLine("PG_VERSION", `"size":"4"`, `"size":"5"`),
		"size -1 in a FULL":         inLine("PG_VERSION", `"size":"4"`, `"size":"-1"`),
		"mode of a file":            inLine("backup_label", `"mode":"33152"`, `"mode":"33188"`),
		"mode without type":         inLine("backup_label", `"mode":"33152"`, `"mode":"384"`),
		"crc":                       inLine("backup_label", `"crc":"1`, `"crc":"2`),
		"crc of a data file":        inLine("base/1/14386", `"crc":"1`, `"crc":"2`),
		"crc of pg_control":         inLine("global/pg_control", `"crc":"2`, `"crc":"1`),
		"is_datafile":               inLine("base/1/14386", `"is_datafile":"1"`, `"is_datafile":"0"`),
		"dbOid":                     inLine("base/1/14386", `"dbOid":"1"`, `"dbOid":"0"`),
		"segno":                     inLine("base/1/14386", `"segno":"0"`, `"segno":"1"`),
		"n_blocks":                  inLine("base/1/14386", `"n_blocks":"(\d+)"`, `"n_blocks":"1$1"`),
		"n_headers":                 inLine("base/1/14386", `"n_headers":"(\d+)"`, `"n_headers":"1$1"`),
		"hdr_crc":                   inLine("base/1/14386", `"hdr_crc":"`, `"hdr_crc":"1`),
		"hdr_off":                   inLine("base/1/14386", `"hdr_off":"`, `"hdr_off":"1`),
		"hdr_size":                  inLine("base/1/14386", `"hdr_size":"`, `"hdr_size":"1`),
		"no headers":                inLine("base/1/14386", `,"n_headers".*}`, `}`),
		"row compression forgotten": inLine("base/16384/16450_compress", `,"compressedFile":"1","compressedChunkSize":"\d+","compressedAlgorithm":"\d"`, ``),
		"external directory number": inLine("sub/hello.txt", `"external_dir_num":"1"`, `"external_dir_num":"2"`),
		"last line feed":            func(s string) string { return strings.TrimSuffix(s, "\n") },
	} {
		editList(t, backup, edit)
		strict := what == "no file_type" // the C tool's older releases have none
		if got := problems(t, catalog, Options{Foreign: !strict}); len(got) == 0 || strict && !strings.Contains(got[0].Detail, "file_type") {
			t.Errorf("accepted: %s", what)
		}
		write(t, listName, list, 0o600)
		write(t, controlName, control, 0o600)
	}
	write(t, controlName, regexp.MustCompile(`content-crc = \d+`).ReplaceAll(control, []byte("content-crc = 17")), 0o600)
	if len(problems(t, catalog, Options{Foreign: true})) == 0 {
		t.Error("accepted: content-crc")
	}
}

// What is on disk must be what is listed, with the right modes.
func TestTreeMutations(t *testing.T) {
	for what, change := range map[string]func(backup string) error{
		"foreign file":           func(b string) error { return os.WriteFile(b+"/database/base/1/999", nil, 0o600) },
		"foreign directory":      func(b string) error { return os.Mkdir(b+"/database/more", 0o700) },
		"foreign beside control": func(b string) error { return os.WriteFile(b+"/backup.control.tmp", nil, 0o600) },
		"foreign in the catalog": func(b string) error { return os.Mkdir(filepath.Dir(filepath.Dir(filepath.Dir(b)))+"/tmp", 0o700) },
		"stored empty file":      func(b string) error { return os.WriteFile(b+"/database/base/1/14864", nil, 0o600) },
		"missing data file":      func(b string) error { return os.Remove(b + "/database/base/1/14386") },
		"missing plain file":     func(b string) error { return os.Remove(b + "/database/PG_VERSION") },
		"missing WAL":            func(b string) error { return os.Remove(b + "/database/pg_xlog/000000010000000000000010") },
		"missing header map":     func(b string) error { return os.Remove(b + "/page_header_map") },
		"missing list":           func(b string) error { return os.Remove(b + "/backup_content.control") },
		"missing tablespace":     func(b string) error { return os.RemoveAll(b + "/database/pg_tblspc") },
		"header map grown":       func(b string) error { return appendByte(b + "/page_header_map") },
		"data file grown":        func(b string) error { return appendByte(b + "/database/base/1/14386") },
		"data file cut":          func(b string) error { return os.Truncate(b+"/database/base/1/14386", 600) },
		"mode of the backup":     func(b string) error { return os.Chmod(b, 0o755) },
		"mode of database":       func(b string) error { return os.Chmod(b+"/database", 0o750) },
		"mode of control":        func(b string) error { return os.Chmod(b+"/backup.control", 0o644) },
		"mode of list":           func(b string) error { return os.Chmod(b+"/backup_content.control", 0o644) },
		"mode of a data file":    func(b string) error { return os.Chmod(b+"/database/base/1/14386", 0o644) },
		"mode of a plain file":   func(b string) error { return os.Chmod(b+"/database/PG_VERSION", 0o644) },
		"name of the backup":     func(b string) error { return os.Rename(b, filepath.Dir(b)+"/TOWA58") },
		"configuration":          func(b string) error { return appendByte(filepath.Dir(b) + "/pg_probackup.conf") },
		"no configuration":       func(b string) error { return os.Remove(filepath.Dir(b) + "/pg_probackup.conf") },
		"no WAL directory":       func(b string) error { return os.RemoveAll(filepath.Dir(filepath.Dir(filepath.Dir(b))) + "/wal/n1") },
	} {
		catalog, backup := unpackGolden(t)
		if err := change(backup); err != nil {
			t.Fatal(err)
		}
		if len(problems(t, catalog, Options{Foreign: true})) == 0 {
			t.Errorf("accepted: %s", what)
		}
	}
	catalog, backup := unpackGolden(t)
	before := len(problems(t, catalog, Options{}))
	write(t, backup+"/backup.pid", []byte("1\n"), 0o600)
	if len(problems(t, catalog, Options{})) != before+1 {
		t.Error("accepted: lock file of a finished backup")
	}
}

func appendByte(name string) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString("x")
	return errors.Join(err, f.Close())
}

// The C tool's scanner, at its own lines and at those it stumbles over
// (formats.md §4.4).
func TestScannerOfC(t *testing.T) {
	const rest = `, "size":"-1", "mode":"33152", "is_datafile":"1", "crc":"0", "file_type":"0","segno":"3","n_blocks":"7"}`
	for _, tt := range []struct {
		path, key, want string
		ok              bool
	}{
		{"base/1/2", "path", "base/1/2", true},
		{"base/1/2", "n_blocks", "7", true},
		{"base/1/2", "hdr_crc", "", true},
		{"a,1", "size", "", true},    // the comma behind the path is taken for its key
		{"a,1", "segno", "3", true},  // a comma before a digit
		{"a,b", "path", "a,b", true}, // found before the comma counts
		{"a,b", "segno", "", false},  // a letter where a quote is due
		{`a"b`, "path", "a", true},   // cut at the quote
	} {
		got, _, ok := scanC(`{"path":"`+tt.path+`"`+rest, tt.key)
		if got != tt.want || ok != tt.ok {
			t.Errorf("%q, %s: %q, %v, want %q, %v", tt.path, tt.key, got, ok, tt.want, tt.ok)
		}
	}
	values, err := parseC([]byte("a = 'it''s' # x\nB_c = 2 # y\n\n# z\n"))
	if err != nil || values["a"] != "it's" || values["b-c"] != "2" || len(values) != 2 {
		t.Errorf("%v, %v", values, err)
	}
	for _, bad := range []string{"a", "a = 'b", "a = 'b' c", "a = " + strings.Repeat("x", 1023)} {
		if _, err := parseC([]byte(bad)); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
}
