package catalog

import (
	"math"
	"strconv"
	"strings"
	"time"

	"gsprobackup/internal/usererr"
)

// ID names a backup: its start time in seconds since the epoch, printed in
// upper-case base 36. 0 is no backup.
type ID int64

// String prints QMR0ZE, or "0" for no backup. Negative numbers, which only
// odd input makes, print as the C tool does, as unsigned.
func (id ID) String() string { return strings.ToUpper(strconv.FormatUint(uint64(id), 36)) }

// Time is the start time of the backup.
func (id ID) Time() time.Time { return time.Unix(int64(id), 0) }

// ParseID reads what a user typed for -i: leading blanks and a sign are
// allowed, case does not matter, and reading stops at the first foreign
// character; an overflow gives the largest number (spec/cli.md §5.5). Nothing
// convertible, or 0, is an error with the C tool's text.
func ParseID(s string) (ID, error) {
	id := decodeID(s)
	if id == 0 {
		return 0, usererr.New(`Invalid backup-id "%s"`, s)
	}
	return id, nil
}

// decodeID is ParseID without the error. It is also how the name of any
// sub-directory of an instance becomes an ID.
func decodeID(s string) ID {
	s = strings.TrimLeft(s, " \t\n\v\f\r")
	negative := false
	if s != "" && (s[0] == '+' || s[0] == '-') {
		negative = s[0] == '-'
		s = s[1:]
	}
	end := 0
	for end < len(s) && isBase36(s[end]) {
		end++
	}
	if end == 0 {
		return 0
	}
	n, err := strconv.ParseUint(s[:end], 36, 64)
	if err != nil {
		n = math.MaxUint64
	} else if negative {
		n = -n
	}
	return ID(n)
}

func isBase36(c byte) bool {
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
}
