package optvalue

import (
	"fmt"
	"strconv"
	"time"
)

// maxZoneHours is the largest hour part of a zone offset (spec/cli.md §5.4).
const maxZoneHours = 15

// ParseTime reads YYYY-MM-DD[ HH[:MM[:SS[±HH[[:]MM[:SS]]]]]] by the rules of
// spec/cli.md §5.4: one non-alphanumeric character separates the fields and
// one more may lead, trail or stand before the zone; fields out of range roll
// over; a letter after the third field ends the reading. A text without zone
// is in zone noZone.
//
// Unlike the C tool it takes a written offset literally, also when local time
// had another offset at that moment (spec/formats.md §3.1, hazard).
func ParseTime(s string, noZone *time.Location) (time.Time, error) {
	bad := &BadValue{Want: WantTime, Value: s}
	body, zone, ok := splitZone(s)
	if !ok {
		return time.Time{}, bad
	}
	f, ok := scanFields(body)
	if !ok {
		return time.Time{}, bad
	}
	if f[0] < 100 {
		f[0] += 2000
	}
	loc := noZone
	if zone != "" {
		off, ok := parseOffset(zone)
		if !ok {
			return time.Time{}, bad
		}
		loc = time.FixedZone("", off)
	}
	return time.Date(f[0], time.Month(f[1]), f[2], f[3], f[4], f[5], 0, loc), nil
}

// splitZone separates the zone, which can only start at the sixth separator.
func splitZone(s string) (body, zone string, ok bool) {
	s = trimOneSeparator(s)
	seps := 0
	for i := 0; i < len(s); i++ {
		if isAlnum(s[i]) {
			continue
		}
		if seps++; seps < 6 {
			continue
		}
		body, zone = s[:i], s[i:]
		if len(zone) > 1 && isBlankByte(zone[0]) {
			zone = zone[1:]
		}
		if len(zone) == 1 && isBlankByte(zone[0]) {
			return body, "", true // a trailing blank
		}
		return body, zone, zone[0] == '+' || zone[0] == '-'
	}
	return s, "", true
}

func trimOneSeparator(s string) string {
	if s != "" && !isAlnum(s[0]) {
		return s[1:]
	}
	return s
}

// scanFields reads three to six numbers: at most 4 digits for the year and 2
// for the others, at most one separator in between.
func scanFields(s string) (f [6]int, ok bool) {
	f = [6]int{0, 1, 1}
	n := 0
	for ; n < 6; n++ {
		if n > 0 {
			s = trimOneSeparator(s)
		}
		width := 2
		if n == 0 {
			width = 4
		}
		end := 0
		for end < len(s) && end < width && isDigit(s[end]) {
			end++
		}
		if end == 0 {
			break
		}
		f[n], _ = strconv.Atoi(s[:end]) // at most four digits
		s = s[end:]
	}
	if n < 6 {
		// Reading ended early: at the end of the text, or at a letter, which
		// hides whatever follows. An empty field is an error.
		return f, n >= 3 && (s == "" || isAlnum(s[0]))
	}
	return f, s == "" || (len(s) == 1 && !isAlnum(s[0]))
}

// parseOffset reads ±HH, ±HHMM, ±HH:MM or ±HH:MM:SS as seconds east of UTC.
func parseOffset(s string) (int, bool) {
	east := 1
	if s[0] == '-' {
		east = -1
	}
	s = s[1:]
	if n := len(s); n > 0 && isBlankByte(s[n-1]) {
		s = s[:n-1]
	}
	parts := [3]int{}
	n := 0
	for {
		end := 0
		for end < len(s) && isDigit(s[end]) {
			end++
		}
		if end == 0 || end > 4 || n == len(parts) {
			return 0, false
		}
		parts[n], _ = strconv.Atoi(s[:end]) // at most four digits
		n++
		runTogether := n == 1 && end > 2
		s = s[end:]
		if s == "" {
			if runTogether {
				parts[0], parts[1] = parts[0]/100, parts[0]%100
			}
			break
		}
		if s[0] != ':' || runTogether {
			return 0, false
		}
		s = s[1:]
	}
	if parts[0] > maxZoneHours || parts[1] >= 60 || parts[2] >= 60 {
		return 0, false
	}
	return east * (parts[0]*3600 + parts[1]*60 + parts[2]), true
}

// FormatTime prints YYYY-MM-DD HH:MM:SS±HH[:MM] in zone loc with the offset in
// force at that moment, so that ParseTime gives back the same second. Seconds
// of the offset (historic local mean times) are added when there are any.
func FormatTime(t time.Time, loc *time.Location) string {
	t = t.In(loc)
	_, off := t.Zone()
	sign := '+'
	if off < 0 {
		sign, off = '-', -off
	}
	s := fmt.Sprintf("%04d-%02d-%02d %02d:%02d:%02d%c%02d",
		t.Year(), int(t.Month()), t.Day(), t.Hour(), t.Minute(), t.Second(), sign, off/3600)
	if off%3600 != 0 {
		s += fmt.Sprintf(":%02d", off%3600/60)
	}
	if off%60 != 0 {
		s += fmt.Sprintf(":%02d", off%60)
	}
	return s
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isAlnum(c byte) bool {
	return isDigit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
}

func isBlankByte(c byte) bool {
	switch c {
	case ' ', '\t', '\n', '\v', '\f', '\r':
		return true
	}
	return false
}
