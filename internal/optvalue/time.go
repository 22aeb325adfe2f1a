package optvalue

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// maxZoneHours is the largest hour part of a zone offset (spec/cli.md §5.4).
const maxZoneHours = 15

// ParseTime reads YYYY-MM-DD[ HH[:MM[:SS[±HH[[:]MM[:SS]]]]]] by the rules of
// spec/cli.md §5.4: non-alphanumeric characters lead or separate the fields,
// five of them at most, and blanks may trail or stand before the zone; fields
// out of range roll over; a letter after the third field ends the reading. A
// text without zone is in zone noZone.
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

// splitZone separates the zone, which can only stand behind five separators.
// Those become blanks, also where several stand together; behind them only
// blanks, the last number and the zone may follow.
func splitZone(s string) (body, zone string, ok bool) {
	var b strings.Builder
	seps, ended := 0, false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case isAlnum(c) && ended:
			return "", "", false
		case isAlnum(c):
			b.WriteByte(c)
		case seps < 5:
			seps++
			b.WriteByte(' ')
		case c == '+' || c == '-':
			return b.String(), strings.TrimRight(s[i:], blanks), true
		case !isBlankByte(c):
			return "", "", false
		default:
			ended = true
		}
	}
	return b.String(), "", true
}

// scanFields reads three to six numbers: at most 4 digits for the year and 2
// for the others, any number of blanks in between.
func scanFields(s string) (f [6]int, ok bool) {
	f = [6]int{0, 1, 1}
	n := 0
	for ; n < 6; n++ {
		s = strings.TrimLeft(s, " ")
		width := 2
		if n == 0 {
			width = 4
		}
		end := 0
		for end < len(s) && end < width && isDigit(s[end]) {
			end++
		}
		if end == 0 {
			break // at the end, or at a letter, which hides whatever follows
		}
		f[n], _ = strconv.Atoi(s[:end]) // at most four digits
		s = s[end:]
	}
	return f, n >= 3 && (n < 6 || strings.TrimLeft(s, " ") == "")
}

// parseOffset reads ±HH, ±HHMM, ±HH:MM or ±HH:MM:SS as seconds east of UTC.
func parseOffset(s string) (int, bool) {
	east := 1
	if s[0] == '-' {
		east = -1
	}
	s = s[1:]
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
