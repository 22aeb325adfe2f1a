package merge_test

import (
	"testing"

	"gsprobackup/test/golden"
)

// Every increment of the recorded chains becomes a FULL with its content.
func TestGoldenChains(t *testing.T) {
	for _, c := range golden.Small {
		for i, last := range c.Backups {
			if i == 0 {
				continue
			}
			t.Run(c.Name+"/"+last, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, c.Name)
				want := w.chain(last)
				w.must(w.merge(last))
				t.Log(w.statuses())
				w.sound(last, want)
			})
		}
	}
}
