// Package keyfile reads and writes the "key = value" syntax that
// pg_probackup.conf and backup.control share (spec/formats.md §2.3,
// spec/cli.md §2).
//
// It owns lines, quoting and key comparison. It leaves the meaning of keys,
// the conversion of values and what to do with an unknown key to
// internal/catalog.
//
//	line    = [blanks] [ pair [blanks] ] [ "#" comment ] LF
//	pair    = key [blanks] "=" [blanks] value
//	key     = any bytes but  = # LF CR TAB VT space
//	value   = "'" text "'"       two quotes in text stand for one; the
//	                             closing quote may be missing
//	        | bare               up to  # LF CR TAB VT ; inner blanks stay,
//	                             blanks at the end of the line go
//
// The C tool reads lines into a buffer of 1024 bytes and takes the tail of a
// longer one for another line. The reader here has no such limit; the writer
// refuses what the C tool could not read back.
package keyfile

import (
	"bytes"
	"strings"

	"gsprobackup/internal/usererr"
)

// MaxLine is the longest line, line feed included, that the C tool reads
// whole.
const MaxLine = 1023

// blanks are C's isspace in the C locale.
const blanks = " \t\n\v\f\r"

// Pair is one key with its value.
type Pair struct {
	Key   string // as written
	Value string // unquoted; may be empty
	// Repaired tells that the line has no valid syntax and Value is what its
	// writer must have meant; see Options.Repair.
	Repaired bool
	Line     string // the line without white space at its end
}

// SyntaxError is the cause inside the *usererr.Error that Parse returns.
type SyntaxError struct{ Line string }

func (e *SyntaxError) Error() string { return "bad key file line" }

// Options control Parse.
type Options struct {
	// Repair accepts a value that stands in quotes but has single quotes
	// inside, such as note = 'it's'. The C tool writes such lines and cannot
	// read them back (spec/cli.md §13 row 1); the outermost quotes delimit
	// the value then.
	Repair bool
}

// Parse returns the pairs of a file in order. A line that is no pair is a
// *usererr.Error with the C tool's text and a *SyntaxError as its cause.
func Parse(data []byte, opts Options) ([]Pair, error) {
	var pairs []Pair
	for len(data) > 0 {
		var raw []byte
		raw, data, _ = bytes.Cut(data, []byte{'\n'})
		line := strings.TrimRight(string(raw), blanks)
		text := strings.TrimLeft(line, blanks)
		if text == "" || text[0] == '#' {
			continue
		}
		pair, ok := parsePair(text)
		if !ok && opts.Repair {
			pair, ok = repairPair(text)
		}
		if !ok || strings.IndexByte(line, 0) >= 0 {
			return nil, usererr.Wrap(&SyntaxError{Line: line}, `Syntax error in "%s"`, line)
		}
		pair.Line = line
		pairs = append(pairs, pair)
	}
	return pairs, nil
}

// parsePair splits a line whose outer blanks are cut off.
func parsePair(text string) (Pair, bool) {
	key, rest, ok := cutKey(text)
	if !ok {
		return Pair{}, false
	}
	value, rest := cutValue(rest)
	rest = strings.TrimLeft(rest, blanks)
	return Pair{Key: key, Value: value}, rest == "" || rest[0] == '#'
}

// cutKey returns the key and what stands behind the equals sign.
func cutKey(text string) (key, rest string, ok bool) {
	n := strings.IndexAny(text, "=#\n\r\t\v ")
	if n <= 0 {
		return "", "", false
	}
	rest, ok = strings.CutPrefix(strings.TrimLeft(text[n:], blanks), "=")
	return text[:n], strings.TrimLeft(rest, blanks), ok
}

// cutValue returns the value and what stands behind it.
func cutValue(text string) (value, rest string) {
	if !strings.HasPrefix(text, "'") {
		if n := strings.IndexAny(text, "#\n\r\t\v"); n >= 0 {
			return text[:n], text[n:]
		}
		return text, ""
	}
	var b strings.Builder
	for i := 1; i < len(text); i++ {
		if text[i] == '\'' {
			if i+1 == len(text) || text[i+1] != '\'' {
				return b.String(), text[i+1:]
			}
			i++
		}
		b.WriteByte(text[i])
	}
	return b.String(), "" // no closing quote: tolerated
}

// repairPair takes the outermost quotes of a line for its delimiters.
func repairPair(text string) (Pair, bool) {
	key, rest, ok := cutKey(text)
	if !ok || len(rest) < 2 || rest[0] != '\'' || rest[len(rest)-1] != '\'' {
		return Pair{}, false
	}
	return Pair{Key: key, Value: rest[1 : len(rest)-1], Repaired: true}, true
}

// SameKey compares keys without case, and with "-", "_" and blank alike.
func SameKey(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := 0; i < len(a); i++ {
		if fold(a[i]) != fold(b[i]) {
			return false
		}
	}
	return true
}

func fold(c byte) byte {
	switch {
	case c >= 'A' && c <= 'Z':
		return c + 'a' - 'A'
	case c == '_' || c == ' ':
		return '-'
	}
	return c
}
