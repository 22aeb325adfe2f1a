package golden

import (
	"strings"
	"testing"

	"gsprobackup/test/checker"
)

// Cutting left nothing that the format forbids.
func TestSmallCatalogsAreSound(t *testing.T) {
	for _, c := range Small {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			m, _ := Start(t, c.Name)
			list, stats, err := checker.Check(m.Path(c.Dir), checker.Options{Foreign: true})
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range checker.Errors(list) {
				if !c.HasWAL() && strings.HasPrefix(p.Rule, "§10") {
					continue
				}
				t.Error(p)
			}
			if stats.Backups != len(c.Backups) || stats.Pages < 20 {
				t.Errorf("looked at %+v", stats)
			}
		})
	}
}
