package sshconf

import "strings"

// MatchList tells whether text matches a list of patterns in which a leading
// "!" takes matches out again: some pattern must match, and no negated one.
func MatchList(text string, patterns []string) bool {
	matched := false
	for _, p := range patterns {
		name, negated := strings.CutPrefix(p, "!")
		if !Match(text, name) {
			continue
		}
		if negated {
			return false
		}
		matched = true
	}
	return matched
}

// Match tells whether text matches a pattern of "*" (any number of characters)
// and "?" (one character). It is linear in the length of text times pattern.
func Match(text, pattern string) bool {
	t, p := 0, 0
	star, mark := -1, 0
	for t < len(text) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, t
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == text[t]):
			t++
			p++
		case star >= 0:
			mark++
			t, p = mark, star+1
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}
