package optvalue

import (
	"math"
	"strconv"
	"strings"
)

// Unit is the base unit of a numeric option; NoUnit options refuse any unit
// and even a trailing blank.
type Unit int

// The base units of spec/cli.md §5.2.
const (
	NoUnit      Unit = iota
	KB               // sizes: kB KB MB GB TB
	Second           // times: ms s min h d; ms divides by 1000, truncating
	Millisecond      // times
	Byte             // sizes: B kB KB MB GB TB; ours, no option of C has it
)

// infinite is the word for the largest value of a kind; exact case.
const infinite = "INFINITE"

// scale is one unit of a family. The value in base units is n*mul/div.
type scale struct {
	name     string
	mul, div uint64
}

// units lists a family largest first, which is the order display needs; the
// lower-case kB is for input only, so it comes last.
func (u Unit) units() []scale {
	switch u {
	case KB:
		return []scale{{"TB", 1 << 30, 1}, {"GB", 1 << 20, 1}, {"MB", 1 << 10, 1}, {"KB", 1, 1}, {"kB", 1, 1}}
	case Byte:
		return []scale{{"TB", 1 << 40, 1}, {"GB", 1 << 30, 1}, {"MB", 1 << 20, 1}, {"KB", 1 << 10, 1}, {"kB", 1 << 10, 1}, {"B", 1, 1}}
	case Second:
		return []scale{{"d", 86400, 1}, {"h", 3600, 1}, {"min", 60, 1}, {"s", 1, 1}, {"ms", 1, 1000}}
	case Millisecond:
		return []scale{{"d", 86400000, 1}, {"h", 3600000, 1}, {"min", 60000, 1}, {"s", 1000, 1}, {"ms", 1, 1}}
	}
	return nil
}

// ParseInt32 converts a signed 32-bit option in base unit u.
func ParseInt32(s string, u Unit) (int32, error) {
	n, ok := parseSigned(s, u, math.MinInt32, math.MaxInt32)
	if !ok {
		return 0, &BadValue{Want: WantInt32, Value: s}
	}
	return int32(n), nil
}

// ParseInt64 converts a signed 64-bit option in base unit u.
func ParseInt64(s string, u Unit) (int64, error) {
	n, ok := parseSigned(s, u, math.MinInt64, math.MaxInt64)
	if !ok {
		return 0, &BadValue{Want: WantInt64, Value: s}
	}
	return n, nil
}

// ParseUint32 converts an unsigned 32-bit option in base unit u; a negative
// number is an error.
func ParseUint32(s string, u Unit) (uint32, error) {
	n, ok := parseUnsigned(s, u, math.MaxUint32)
	if !ok {
		return 0, &BadValue{Want: WantUint32, Value: s}
	}
	return uint32(n), nil
}

// ParseUint64 converts an unsigned 64-bit option in base unit u. A negative
// number wraps around, as in the C tool (spec/cli.md §5.2).
func ParseUint64(s string, u Unit) (uint64, error) {
	n, ok := parseUnsigned(s, u, math.MaxUint64)
	if !ok {
		return 0, &BadValue{Want: WantUint64, Value: s}
	}
	return n, nil
}

func parseSigned(s string, u Unit, lo, hi int64) (int64, bool) {
	if s == infinite {
		return hi, true
	}
	neg, mag, rest, ok := scanInteger(s)
	if !ok {
		return 0, false
	}
	limit := uint64(hi)
	if neg {
		limit = uint64(hi) + 1
	}
	if mag > limit {
		return 0, false
	}
	mag, ok = applyUnit(mag, rest, u)
	if !ok || mag > limit {
		return 0, false
	}
	if neg {
		return -int64(mag), true // MinInt64 negates to itself
	}
	return int64(mag), true
}

func parseUnsigned(s string, u Unit, hi uint64) (uint64, bool) {
	if s == infinite {
		return hi, true
	}
	neg, n, rest, ok := scanInteger(s)
	if !ok {
		return 0, false
	}
	if neg {
		n = -n // strtoul's wrap: only a 64-bit option can hold the result
	}
	if n > hi {
		return 0, false
	}
	n, ok = applyUnit(n, rest, u)
	return n, ok && n <= hi
}

// scanInteger reads what C's strtol with base 0 reads: blanks, a sign, and
// hexadecimal (0x), octal (0) or decimal digits. It returns the magnitude and
// what follows; ok is false without digits or above 64 bits.
func scanInteger(s string) (neg bool, mag uint64, rest string, ok bool) {
	s = strings.TrimLeft(s, blanks)
	if s != "" && (s[0] == '+' || s[0] == '-') {
		neg = s[0] == '-'
		s = s[1:]
	}
	base := 10
	switch {
	case len(s) > 2 && s[0] == '0' && (s[1] == 'x' || s[1] == 'X') && digitValue(s[2]) < 16:
		base, s = 16, s[2:]
	case s != "" && s[0] == '0':
		base = 8
	}
	n := 0
	for n < len(s) && digitValue(s[n]) < base {
		n++
	}
	mag, err := strconv.ParseUint(s[:n], base, 64)
	return neg, mag, s[n:], err == nil
}

func digitValue(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return 99
}

// applyUnit multiplies n by the unit in rest; no unit means the base unit.
func applyUnit(n uint64, rest string, u Unit) (uint64, bool) {
	if rest == "" {
		return n, true
	}
	if u == NoUnit {
		return 0, false
	}
	name := strings.Trim(rest, blanks)
	if name == "" {
		return n, true
	}
	for _, sc := range u.units() {
		if sc.name == name {
			return n * sc.mul / sc.div, n <= math.MaxUint64/sc.mul
		}
	}
	return 0, false
}

// Format prints n, given in base unit u, in the largest unit that divides it
// evenly: 300 s is 5min, 0 kB is 0TB, 0 s is 0d (spec/cli.md §5.2). Without a
// unit it is the plain decimal number.
func Format(n uint64, u Unit) string {
	for _, sc := range u.units() {
		if sc.div == 1 && n%sc.mul == 0 {
			return strconv.FormatUint(n/sc.mul, 10) + sc.name
		}
	}
	return strconv.FormatUint(n, 10)
}
