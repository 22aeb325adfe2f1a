package merge_test

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"gsprobackup/internal/fsx"
	"gsprobackup/internal/fsx/faultfs"
)

// noRoom lets files be replaced one by one, as C does.
type noRoom struct {
	fsx.FS
	avail int64
}

func (n noRoom) Statfs(name string) (fsx.Space, error) {
	s, err := n.FS.Statfs(name)
	s.BlockSize, s.BlocksAvail = 1, n.avail
	return s, err
}

// A merge that C has begun has no journal, a list that is out of date, and
// files of two algorithms, on which C itself fails (formats.md §14 row 5).
func TestFinishForeignMerge(t *testing.T) {
	last := "TOWAGN"
	template := smallChain(t)
	want := template.chain(last)
	// The least room with which a merge begins.
	w := template.clone(t)
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
	finished := 0
	for n := 40; n < 1000; n += 29 {
		w := template.clone(t)
		faulty := faultfs.New(noRoom{w.fs, room})
		w.fs = faulty
		faulty.FailFrom(n, errKilled)
		err := w.merge(last)
		w.fs = lazy{w.m.FS()}
		if err == nil {
			break
		}
		for _, id := range []string{"TOWAGE", "TOWAGJ", "TOWAGN"} {
			_ = os.Remove(w.path(id, "backup.pid"))
		}
		_ = os.Remove(w.path("TOWAGE", "merge_journal"))
		_ = os.Remove(w.path("TOWAGE", "page_header_map_tmp"))
		states := w.statuses()
		if !strings.Contains(states, "TOWAGE FULL MERGING") {
			continue
		}
		if err := w.merge(last); err != nil {
			t.Fatalf("step %d, %s: %v", n, states, err)
		}
		w.sound(last, want)
		finished++
	}
	if finished < 3 {
		t.Errorf("only %d merges were finished", finished)
	}
}
