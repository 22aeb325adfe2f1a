package validate_test

import (
	"context"
	"strings"
	"testing"

	"gsprobackup/internal/catalog"
	"gsprobackup/internal/validate"
	"gsprobackup/test/golden"
)

// Backups above a merge that is going on are told of, but stay what they are.
// When the merging process is dead they become orphans, as in C.
func TestAboveAMerge(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		live bool
		gone bool // the merge has deleted the backup whose ID it takes
		want string
	}{
		"live":             {true, false, "OK OK"},
		"dead":             {false, false, "ORPHAN ORPHAN"},
		"live, taking ID":  {true, true, "OK OK"},
		"dead, without ID": {false, true, "ORPHAN ORPHAN"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, golden.Mixed)
			if tt.live {
				w.hold("TOWAGE")
			}
			inst := w.instance()
			list, err := inst.Backups(context.Background())
			w.must(err)
			deps := validate.Deps{FS: w.m.FS(), Instance: inst, Sink: w}
			full, dest := list[3], list[2]
			full.MergeDestID = dest.ID
			if tt.gone {
				full.Status = catalog.StatusMerged
				list = catalog.List{list[0], list[1], full}
				w.must(validate.MarkMissingParent(deps, list, dest.ID))
			} else {
				full.Status, dest.Status = catalog.StatusMerging, catalog.StatusMerging
				w.must(validate.MarkOrphans(deps, list, full))
			}
			var got []string
			for _, b := range list[:2] {
				got = append(got, b.Status.String())
			}
			if strings.Join(got, " ") != tt.want {
				t.Errorf("got %v, want %s", got, tt.want)
			}
		})
	}
}
