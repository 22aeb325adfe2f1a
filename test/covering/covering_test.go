package covering

import (
	"reflect"
	"testing"
)

func TestRows(t *testing.T) {
	for _, levels := range [][]int{{2, 2, 2}, {3, 4, 2, 2, 5}, {2, 2, 2, 2, 2, 2, 2, 2, 2, 2}} {
		rows := Rows(levels)
		// Counted in another way than the construction does.
		type triple struct{ a, b, c, va, vb, vc int }
		seen := map[triple]bool{}
		want, least := 0, 0
		for a := range levels {
			for b := a + 1; b < len(levels); b++ {
				for c := b + 1; c < len(levels); c++ {
					n := levels[a] * levels[b] * levels[c]
					want, least = want+n, max(least, n)
					for _, r := range rows {
						seen[triple{a, b, c, r[a], r[b], r[c]}] = true
					}
				}
			}
		}
		if len(seen) != want {
			t.Errorf("%v: %d triples in %v, want %d", levels, len(seen), rows, want)
		}
		if len(rows) > 2*least+8 {
			t.Errorf("%v: %d rows, %d at least", levels, len(rows), least)
		}
		if !reflect.DeepEqual(rows, Rows(levels)) {
			t.Errorf("%v: not the same rows each time", levels)
		}
	}
}
