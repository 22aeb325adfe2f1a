package cli

import (
	"encoding/binary"
	"errors"
	"strings"
	"time"
)

// localZone is the zone that TZ names, as the C library reads it. The time
// package knows names of the zone database only; rules such as CST-8, which
// are usual on the servers this program runs on, it would take for UTC.
func localZone(lookup func(string) (string, bool)) *time.Location {
	tz, ok := lookup("TZ")
	if !ok || tz == "" {
		return time.Local
	}
	tz = strings.TrimPrefix(tz, ":")
	if _, err := time.LoadLocation(tz); err == nil || strings.HasPrefix(tz, "/") {
		return time.Local // which has read the same
	}
	if loc, err := ruleZone(tz); err == nil {
		return loc
	}
	return time.Local
}

// ruleZone makes a zone of a POSIX rule. The rule stands at the end of every
// file of the zone database, for the time after its last table entry; so this
// is such a file with an empty table (RFC 9636 §3).
func ruleZone(rule string) (*time.Location, error) {
	var file []byte
	for range 2 { // the second part has 64-bit times; here neither has any
		file = append(file, "TZif2"...)
		file = append(file, make([]byte, 15)...)
		for _, count := range []uint32{0, 0, 0, 0, 1, 1} { // one type, a name of one byte
			file = binary.BigEndian.AppendUint32(file, count)
		}
		file = append(file, 0, 0, 0, 0, 0, 0, 0) // offset, DST flag, index of the name; the empty name
	}
	file = append(file, "\n"+rule+"\n"...)
	loc, err := time.LoadLocationFromTZData(rule, file)
	if err != nil {
		return nil, err
	}
	// A rule that cannot be read leaves the table, whose zone has no name.
	if abbreviation, _ := time.Unix(0, 0).In(loc).Zone(); abbreviation == "" {
		return nil, errors.New("not a rule")
	}
	return loc, nil
}
