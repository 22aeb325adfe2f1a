package optvalue

import "strings"

// blanks are the characters C's isspace knows in the C locale.
const blanks = " \t\n\v\f\r"

// MatchPrefix finds the first candidate of which s is a non-empty prefix in
// any case; leading blanks of s are skipped, trailing ones make it fail
// (spec/cli.md §5.3). It returns the candidate's index, or -1.
func MatchPrefix(s string, candidates ...string) int {
	s = strings.TrimLeft(s, blanks)
	for i, c := range candidates {
		if s != "" && hasPrefixFold(c, s) {
			return i
		}
	}
	return -1
}

// MatchWord finds the candidate equal to s in any case, or returns -1. Only
// --incremental-mode and --status want the whole word.
func MatchWord(s string, candidates ...string) int {
	for i, c := range candidates {
		if len(c) == len(s) && hasPrefixFold(c, s) {
			return i
		}
	}
	return -1
}

// IsBlank tells whether s is empty or made of blanks only; some enumerations
// have a text of their own for that.
func IsBlank(s string) bool { return strings.Trim(s, blanks) == "" }

// hasPrefixFold compares ASCII letters without case.
func hasPrefixFold(word, prefix string) bool {
	if len(prefix) > len(word) {
		return false
	}
	for i := 0; i < len(prefix); i++ {
		if lower(word[i]) != lower(prefix[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}
