// Package optvalue converts the text of option values to Go values and back.
//
// It owns the value syntax that the command line, pg_probackup.conf and
// backup.control share: integers in C notation with units, booleans, strings,
// enumerations and time stamps (spec/cli.md §5.1–§5.4), and the display form
// of numbers with a unit. It leaves option names, precedence and files to
// internal/catalog and internal/cli.
//
//	kind      accepted                                 error (BadValue.Want)
//	int32     C strtol base 0, INFINITE, unit          a 32bit signed integer
//	uint32    the same, negative refused               a 32bit unsigned integer
//	int64     the same                                 a 64bit signed integer
//	uint64    the same, a negative number wraps        a 64bit unsigned integer
//	boolean   prefix of true false yes no on off, 1 0  a boolean
//	string    anything but the empty string            a valid string
//	time      YYYY-MM-DD[ HH[:MM[:SS[+HH[:MM]]]]]      a time
package optvalue

import "fmt"

// The third part of the C tool's conversion error (spec/cli.md §5.1).
const (
	WantBool   = "a boolean"
	WantInt32  = "a 32bit signed integer"
	WantUint32 = "a 32bit unsigned integer"
	WantInt64  = "a 64bit signed integer"
	WantUint64 = "a 64bit unsigned integer"
	WantString = "a valid string"
	WantTime   = "a time"
	WantOnce   = "specified only once"
)

// BadValue tells that a text is not of the wanted kind. The caller, who knows
// the option's names, prints it as
// "Option -%c, --%s should be %s: '%s'" (spec/cli.md §5.1).
type BadValue struct {
	Want  string // one of the Want constants
	Value string // the text as given
}

func (e *BadValue) Error() string { return fmt.Sprintf("should be %s: '%s'", e.Want, e.Value) }

// OptionError is a BadValue together with the option it was given for.
type OptionError struct {
	Short byte   // 0 if the option has no short form or came from a file
	Long  string // without dashes
	Bad   *BadValue
}

// Error is the C tool's text without the "ERROR: " prefix.
func (e *OptionError) Error() string {
	if e.Short != 0 {
		return fmt.Sprintf("Option -%c, --%s %s", e.Short, e.Long, e.Bad)
	}
	return fmt.Sprintf("Option --%s %s", e.Long, e.Bad)
}

// Unwrap returns the BadValue.
func (e *OptionError) Unwrap() error { return e.Bad }

// ParseString refuses the empty string, as every string option does.
func ParseString(s string) (string, error) {
	if s == "" {
		return "", &BadValue{Want: WantString, Value: s}
	}
	return s, nil
}

// ParseBool accepts 1, 0 and every prefix of true, false, yes, no, on, off
// that names only one of them, in any case. The empty string is refused.
func ParseBool(s string) (bool, error) {
	words := []struct {
		word string
		min  int
		val  bool
	}{
		{"true", 1, true}, {"false", 1, false}, {"yes", 1, true}, {"no", 1, false},
		{"on", 2, true}, {"off", 2, false}, {"1", 1, true}, {"0", 1, false},
	}
	for _, w := range words {
		if len(s) >= w.min && hasPrefixFold(w.word, s) {
			return w.val, nil
		}
	}
	return false, &BadValue{Want: WantBool, Value: s}
}
