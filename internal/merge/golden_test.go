package merge_test

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"

	"gsprobackup/internal/fsx"
	"gsprobackup/test/golden"
)

// merged02c has, of the C tool's own merge of the chain of golden
// 02c_chain_no_rowcompress_merge (TOWAGE to TOWAGR), the files that are in the
// small catalog: what they restore to, as content tells it.
const merged02c = "testdata/merged_02c.txt"

// The C tool's merged backup and ours have the same content.
func TestSameAsC(t *testing.T) {
	t.Parallel()
	w := newWorld(t, golden.Mixed)
	w.must(w.merge("TOWAGR"))
	if _, err := w.fs.Lstat(w.c.BackupDir("TOWAGR") + "/dssdata"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the merge made dssdata: %v", err)
	}
	got := content(t, w.fs, w.c.BackupDir("TOWAGR"))
	if dir := os.Getenv("MERGED_02C"); dir != "" { // makes the file anew
		w.must(os.WriteFile(merged02c, []byte(only(content(t, fsx.OS(), dir), got)), 0o644))
	}
	want, err := os.ReadFile(merged02c)
	w.must(err)
	if n := strings.Count(string(want), "\n"); n < 30 {
		t.Fatalf("only %d files recorded", n)
	}
	diff(t, only(got, string(want)), only(string(want), got))
}

// only keeps the lines of files that others has, too, but for pg_control: C
// does not carry over what follows the control data (spec/formats.md §5.8).
func only(list, others string) string {
	names := map[string]bool{}
	for line := range strings.Lines(others) {
		names[name(line)] = true
	}
	delete(names, "0 global/pg_control")
	var out strings.Builder
	for line := range strings.Lines(list) {
		if names[name(line)] {
			out.WriteString(line)
		}
	}
	return out.String()
}

func name(line string) string {
	fields := strings.Fields(line)
	return strings.Join(fields[:min(2, len(fields))], " ")
}
