package replay

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Score says how a transcript is played. Each line begins with the numbers of
// the commands it is about, "12" or "12-15" or "*", and a verb:
//
//	skip REASON        the command cannot be played
//	only               commands without it are not played
//	exact              compare without substitutions
//	play COMMAND       this is played instead: the recorded one without what
//	                   ran beside the tool
//	unordered          lines may come in any order
//	positions          compare WAL positions, segments and transactions, too
//	ours WHICH REGEXP TEXT
//	                   on purpose ours prints TEXT for what matches in the
//	                   recorded "stdout", "stderr" or "exit"; the reason is
//	                   the comment above
//	as NUMBER          ours does what the recorded command of that number did
//	without WHICH REGEXP
//	                   what matches in ours does not count
//	each VERB WORDS…   a direction, followed before each of the tool's commands
//	VERB WORDS…        any other verb is a direction, followed once before the
//	                   first of the commands (see stage.go)
type Score struct {
	directions map[int][][]string
	rules      []rule
}

type rule struct {
	from, to int
	verb     string
	words    []string
	re       *regexp.Regexp // of ours
	as       int
	used     bool
}

// ReadScore reads a score. No file is an empty score.
func ReadScore(name string) (*Score, error) {
	s := &Score{directions: map[int][][]string{}}
	data, err := os.ReadFile(name)
	if os.IsNotExist(err) {
		return s, nil
	}
	if err != nil {
		return nil, err
	}
	for i, line := range strings.Split(string(data), "\n") {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		if err := s.add(line); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", name, i+1, err)
		}
	}
	return s, nil
}

const everyStep = 1 << 30

func (s *Score) add(line string) error {
	numbers, rest, _ := strings.Cut(line, " ")
	from, to := 0, everyStep
	if numbers != "*" {
		a, b, isRange := strings.Cut(numbers, "-")
		if !isRange {
			b = a
		}
		var err1, err2 error
		from, err1 = strconv.Atoi(a)
		to, err2 = strconv.Atoi(b)
		if err1 != nil || err2 != nil {
			return fmt.Errorf("bad numbers %q", numbers)
		}
	}
	verb, text, _ := strings.Cut(rest, " ")
	r := rule{from: from, to: to, verb: verb}
	switch verb {
	case "only":
	case "exact", "positions", "unordered":
		r.used = true
	case "play":
		r.words = []string{text}
	case "skip":
		if r.words = []string{text}; len(text) < 10 {
			return fmt.Errorf("no reason")
		}
	case "ours", "without":
		words, err := shellWords(text)
		if err != nil {
			return err
		}
		if verb == "without" {
			words = append(words, "")
		}
		if len(words) != 3 {
			return fmt.Errorf("not the right number of words: %q", words)
		}
		r.words = words
		if r.re, err = regexp.Compile("(?m)" + words[1]); err != nil {
			return err
		}
	case "as":
		n, err := strconv.Atoi(text)
		if err != nil {
			return err
		}
		r.as = n
	case "each":
		words, err := shellWords(text)
		if err != nil {
			return err
		}
		r.words, r.used = words, true
	default:
		words, err := shellWords(rest)
		if err != nil {
			return err
		}
		s.directions[from] = append(s.directions[from], words)
		return nil
	}
	s.rules = append(s.rules, r)
	return nil
}

// Directions are those to follow before command n; tool tells whether it is
// one of the tool's.
func (s *Score) Directions(n int, tool bool) [][]string {
	list := s.directions[n]
	for _, r := range s.rules {
		if tool && r.verb == "each" && n >= r.from && n <= r.to {
			list = append(list, r.words)
		}
	}
	return list
}

func (s *Score) find(n int, verb string) *rule {
	for i := range s.rules {
		if r := &s.rules[i]; r.verb == verb && n >= r.from && n <= r.to {
			return r
		}
	}
	return nil
}

// Skipped is the reason why a command is not played, "" if it is.
func (s *Score) Skipped(n int) string {
	if r := s.find(n, "skip"); r != nil {
		r.used = true
		return r.words[0]
	}
	return ""
}

// LeavesOut tells whether a score that is about some commands only does without
// this one.
func (s *Score) LeavesOut(n int) bool {
	if r := s.find(n, "only"); r != nil {
		r.used = true
		return false
	}
	return slices.ContainsFunc(s.rules, func(r rule) bool { return r.verb == "only" })
}

// Exact tells whether a command is compared without substitutions.
func (s *Score) Exact(n int) bool { return s.find(n, "exact") != nil }

// As is the number of the command whose record is to be compared with.
func (s *Score) As(n int) int {
	if r := s.find(n, "as"); r != nil {
		r.used = true
		return r.as
	}
	return n
}

// Command is what is played for a step, usually what was recorded.
func (s *Score) Command(step Step) string {
	if r := s.find(step.Number, "play"); r != nil {
		r.used = true
		return r.words[0]
	}
	return step.Command
}

// Unordered tells whether lines are compared without their order.
func (s *Score) Unordered(n int) bool { return s.find(n, "unordered") != nil }

// Positions tells whether places in the WAL are compared.
func (s *Score) Positions(n int) bool { return s.find(n, "positions") != nil }

// Expect is what ours must print where C printed want.
func (s *Score) Expect(n int, want plain) plain { return s.edit("ours", n, want) }

// Counts is what counts of what ours printed.
func (s *Score) Counts(n int, got plain) plain { return s.edit("without", n, got) }

func (s *Score) edit(verb string, n int, want plain) plain {
	for i := range s.rules {
		r := &s.rules[i]
		if r.verb != verb || n < r.from || n > r.to {
			continue
		}
		switch r.words[0] {
		case "exit":
			if r.re.MatchString(strconv.Itoa(want.exit)) {
				want.exit, _ = strconv.Atoi(r.words[2])
				r.used = true
			}
		case "stdout":
			want.stdout = r.replace(want.stdout)
		case "stderr":
			want.stderr = r.replace(want.stderr)
		case "receiver":
			want.receiver = r.replace(want.receiver)
		}
	}
	return want
}

func (r *rule) replace(text string) string {
	if r.re.MatchString(text) {
		r.used = true
	}
	return r.re.ReplaceAllString(text, strings.ReplaceAll(r.words[2], `\n`, "\n"))
}

// Unused lists rules that had no effect: what is not different any more must
// not be listed as a difference.
func (s *Score) Unused() []string {
	var list []string
	for _, r := range s.rules {
		if !r.used {
			list = append(list, fmt.Sprintf("%d-%d %s %q", r.from, r.to, r.verb, r.words))
		}
	}
	return list
}
