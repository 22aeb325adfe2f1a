package logging

import (
	"strings"
	"testing"
	"time"
)

// FuzzExpand: any pattern gives a name, and one without percent signs is its
// own name.
func FuzzExpand(f *testing.F) {
	for _, s := range []string{"pg_probackup-%Y-%m-%d_%H%M%S.log", "100%", "%%a%", "%Ey%Oq%-d%5Y", "%\xff"} {
		f.Add(s, int64(1795337569))
	}
	f.Fuzz(func(t *testing.T, pattern string, sec int64) {
		const last = 253402300799 // of year 9999
		got := expand(pattern, time.Unix(sec%last, 0).UTC())
		if !strings.Contains(pattern, "%") && got != pattern {
			t.Fatalf("%q became %q", pattern, got)
		}
		if len(got) > 64*len(pattern) {
			t.Fatalf("%q became %d bytes", pattern, len(got))
		}
	})
}
