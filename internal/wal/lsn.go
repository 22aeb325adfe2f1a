package wal

import (
	"fmt"
	"strconv"
	"strings"
)

// LSN is a byte position in the write-ahead log. The zero LSN is invalid.
type LSN uint64

// String prints the C tool's form, two hexadecimal halves without leading
// zeros: 0/5000028.
func (l LSN) String() string { return fmt.Sprintf("%X/%X", uint32(l>>32), uint32(l)) }

// ParseLSN accepts hex/hex with 1 to 8 digits on each side, any case, no
// blanks and no 0x (spec/cli.md §5.5).
func ParseLSN(s string) (LSN, error) {
	hi, lo, ok := strings.Cut(s, "/")
	h, err1 := parseHalf(hi)
	l, err2 := parseHalf(lo)
	if !ok || err1 != nil || err2 != nil {
		return 0, fmt.Errorf("parse LSN %q: want hex/hex", s)
	}
	return LSN(h)<<32 | LSN(l), nil
}

func parseHalf(s string) (uint64, error) {
	if len(s) < 1 || len(s) > 8 || s[0] == '+' || s[0] == '-' {
		return 0, strconv.ErrSyntax
	}
	return strconv.ParseUint(s, 16, 32)
}

// Timeline is a WAL timeline number as it stands in WAL file names.
type Timeline uint32
