package golden

import (
	"regexp"

	"gsprobackup/test/checker"
)

// Allowed are the departures of our restore from the tree that the C tool
// leaves, each with its reason; all patterns match whole texts. They are rows
// of docs/deviations.md.
var Allowed = []struct{ Path, What, Want, Got, Why string }{
	{
		`.*_compress`, "mode", "0644", "0600",
		"C makes the file anew and forgets the listed mode (formats.md §14 row 4)",
	},
	{
		`.*/pg_tblspc/\d+`, "link", `/home/omm/data/pg_location/.*`, `/home/omm/\w+/pg_location/.*`,
		"a relative tablespace moves with the data directory; C leaves the link pointing into the old one",
	},
	{
		`/home/omm/data/pg_location/.*`, "missing", `.*`, `.*`,
		"so nothing is made in the old data directory",
	},
}

// Unexpected returns the differences that are not allowed.
func Unexpected(list []checker.Difference) []checker.Difference {
	var out []checker.Difference
	for _, d := range list {
		if !isAllowed(d) {
			out = append(out, d)
		}
	}
	return out
}

func isAllowed(d checker.Difference) bool {
	full := func(re, s string) bool { return regexp.MustCompile("^(?:" + re + ")$").MatchString(s) }
	for _, a := range Allowed {
		if a.What == d.What && full(a.Path, d.Path) && full(a.Want, d.Want) && full(a.Got, d.Got) {
			return true
		}
	}
	return false
}
