package catalog

import "testing"

func TestMatchMode(t *testing.T) {
	for word, want := range map[string]Mode{
		"f": ModeFull, "FULL": ModeFull, "p": ModePtrack, " Ptr": ModePtrack, "d": ModeDelta, "DELTA": ModeDelta,
		"": ModeInvalid, "page": ModeInvalid, "deltas": ModeInvalid, "delta ": ModeInvalid, "x": ModeInvalid,
	} {
		got, err := MatchMode(word)
		if got != want || (err == nil) != (want != ModeInvalid) {
			t.Errorf("%q: %v, %v", word, got, err)
		}
		if err != nil && err.Error() != `invalid backup-mode "`+word+`"` {
			t.Errorf("%q: %v", word, err)
		}
	}
	// No control file says DELTA: the C tool would not know it.
	if _, err := ParseMode("DELTA"); err == nil || ModeDelta.Recorded() != ModePtrack || ModeFull.Recorded() != ModeFull {
		t.Error("DELTA is recorded as such")
	}
}
