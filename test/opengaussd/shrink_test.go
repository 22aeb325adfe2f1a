package opengaussd

import "testing"

// TestShrunkSegments: CBM does not know which pages gs_space_shrink has moved;
// their LSNs do.
func TestShrunkSegments(t *testing.T) {
	t.Parallel()
	w := newWorld(t, small, Config{})
	w.init()
	w.backup("FULL", "--compress-algorithm", "zlib")
	for range 2 {
		if err := w.cluster.ShrinkSegments(); err != nil {
			t.Fatal(err)
		}
		id, tree := w.backup("PTRACK", "--compress-algorithm", "zlib")
		w.restore(id, tree)
	}
	w.check()
}
