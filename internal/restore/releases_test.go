package restore_test

import (
	"strings"
	"testing"

	"gsprobackup/test/checker"
	"gsprobackup/test/golden"
)

// Catalogs in the shapes of 1.1 to 5.0 are validated and restored like those of
// 6.0, and stay readable for the releases that wrote them.
func TestOldReleases(t *testing.T) {
	t.Parallel()
	for _, release := range golden.Releases {
		for _, name := range []string{golden.Mixed, golden.Zlib} {
			t.Run(release+"/"+name, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, name)
				golden.AsRelease(t, w.m, w.c, release)
				if name == golden.Zlib {
					w.recordedMappings()
				}
				newest := w.c.Backups[len(w.c.Backups)-1]
				w.must(w.run(w.options(newest))) // validates the chain
				if stats := w.compare(newest); stats.Files < 15 {
					t.Errorf("compared only %+v", stats)
				}
				if got := w.statuses(); strings.ReplaceAll(got, "OK", "") != strings.Repeat(" ", len(w.c.Backups)-1) {
					t.Errorf("statuses %s", got)
				}
				problems, _, err := checker.Check(w.m.Path(w.c.Dir), checker.Options{Foreign: true})
				w.must(err)
				for _, p := range checker.Errors(problems) {
					t.Error(p)
				}
			})
		}
	}
}
