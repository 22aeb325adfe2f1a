package merge_test

import (
	"strings"
	"testing"

	"gsprobackup/internal/fsx"
	"gsprobackup/internal/fsx/crashfs"
	"gsprobackup/internal/fsx/faultfs"
	"gsprobackup/internal/validate"
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
	start := template.memory()
	room := tightRoom(t, template.on(t, start.AfterCrash(crashfs.Best)), last)
	finished := 0
	for n := 40; n < 1000; n += 29 {
		mem := start.AfterCrash(crashfs.Best)
		faulty := faultfs.New(noRoom{mem, room})
		w := template.on(t, faulty)
		faulty.FailFrom(n, errKilled)
		err := w.merge(last)
		w.fs = mem
		if err == nil {
			break
		}
		_ = mem.Remove(w.c.BackupDir("TOWAGE") + "/merge_journal")
		_ = mem.Remove(w.c.BackupDir("TOWAGE") + "/page_header_map_tmp")
		states := w.statuses()
		if !strings.Contains(states, "TOWAGE FULL MERGING") {
			continue
		}
		w.events = nil
		if err := w.merge(last); err != nil {
			t.Fatalf("step %d, %s: %v", n, states, err)
		}
		for _, e := range w.events {
			if skipped, ok := e.(validate.Skipped); ok { // the FULL is passed over in silence
				t.Errorf("step %d: said %#v", n, skipped)
			}
		}
		w.sound(last, want)
		finished++
	}
	if finished < 3 {
		t.Errorf("only %d merges were finished", finished)
	}
}
