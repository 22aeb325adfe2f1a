package cli

import (
	"fmt"
	"strings"
)

// This file is the command-line grammar of the C tool: glibc's getopt_long
// with its permutation, abbreviations and diagnostics (spec/cli.md §5.6). It
// knows names and arguments only; what a value means is opttable.go's.

// optionName is one entry of the grammar.
type optionName struct {
	long  string
	short byte // 0 for none
	arg   bool // takes an argument (always a required one)
	id    int  // same for names of the same option
}

// word is one option as it was found on the command line.
type word struct {
	id    int
	value string
	// arg and off locate the value inside the argument vector, so that a
	// secret can be blanked there. They are meaningful when the option
	// takes an argument.
	arg, off int
}

// grammar is a set of options that getopt understands.
type grammar struct {
	// prog is argv[0] exactly as the process got it.
	prog string
	// names is the source table. Its order is visible: it is the order of
	// the possibilities in an ambiguity message.
	names []optionName
	// exact holds options the C tool does not have. They are found by
	// their full name only, so they never change what an abbreviation of
	// one of C's options means.
	exact []optionName
	// posix stops at the first word that is no option (POSIXLY_CORRECT).
	posix bool
}

// getoptError is a rejection by the grammar. Line is getopt's own
// diagnostic, printed as it is.
type getoptError struct{ Line string }

func (e *getoptError) Error() string { return e.Line }

func (g *grammar) fail(format string, args ...any) error {
	return &getoptError{Line: g.prog + ": " + fmt.Sprintf(format, args...)}
}

// scan calls found for every option in args, from left to right, and stops at
// the first error of its own or of found. Words that are no options are
// skipped, as the C tool ignores them.
func (g *grammar) scan(args []string, found func(word) error) error {
	for i := 0; i < len(args); i++ {
		a := args[i]
		switch {
		case a == "--":
			return nil
		case strings.HasPrefix(a, "--"):
			next, err := g.scanLong(args, i, found)
			if err != nil {
				return err
			}
			i = next
		case len(a) > 1 && a[0] == '-':
			next, err := g.scanShort(args, i, found)
			if err != nil {
				return err
			}
			i = next
		case g.posix:
			return nil
		}
	}
	return nil
}

// scanLong handles "--name", "--name=value" and "--name value" at args[i] and
// returns the index of the last argument used.
func (g *grammar) scanLong(args []string, i int, found func(word) error) (int, error) {
	text := args[i][2:]
	name, value, hasValue := strings.Cut(text, "=")
	opt, err := g.matchLong(text, name)
	if err != nil {
		return i, err
	}
	w := word{id: opt.id, arg: i}
	switch {
	case !opt.arg && hasValue:
		return i, g.fail("option '--%s' doesn't allow an argument", opt.long)
	case opt.arg && hasValue:
		w.value, w.off = value, len("--")+len(name)+len("=")
	case opt.arg && i+1 < len(args):
		i++
		w.value, w.arg, w.off = args[i], i, 0
	case opt.arg:
		return i, g.fail("option '--%s' requires an argument", opt.long)
	}
	return i, found(w)
}

// matchLong finds the option called name, or the only one that name is the
// beginning of. typed is the word after "--", for the diagnostics.
func (g *grammar) matchLong(typed, name string) (optionName, error) {
	for _, o := range g.exact {
		if o.long == name {
			return o, nil
		}
	}
	var candidates []optionName
	for _, o := range g.names {
		if o.long == name {
			return o, nil
		}
		if !strings.HasPrefix(o.long, name) {
			continue
		}
		// Two names of the same option do not make a word ambiguous.
		if len(candidates) > 0 && candidates[0].id == o.id && candidates[0].arg == o.arg {
			continue
		}
		candidates = append(candidates, o)
	}
	switch len(candidates) {
	case 0:
		return optionName{}, g.fail("unrecognized option '--%s'", typed)
	case 1:
		return candidates[0], nil
	}
	var list strings.Builder
	for _, c := range candidates {
		fmt.Fprintf(&list, " '--%s'", c.long)
	}
	return optionName{}, g.fail("option '--%s' is ambiguous; possibilities:%s", typed, list.String())
}

// scanShort handles a bundle of one-letter options at args[i]. An option with
// an argument takes the rest of the bundle, else the next argument.
func (g *grammar) scanShort(args []string, i int, found func(word) error) (int, error) {
	bundle := args[i]
	for pos := 1; pos < len(bundle); pos++ {
		opt, ok := g.matchShort(bundle[pos])
		if !ok {
			return i, g.fail("invalid option -- '%s'", bundle[pos:pos+1])
		}
		w := word{id: opt.id, arg: i}
		if !opt.arg {
			if err := found(w); err != nil {
				return i, err
			}
			continue
		}
		switch {
		case pos+1 < len(bundle):
			w.value, w.off = bundle[pos+1:], pos+1
		case i+1 < len(args):
			i++
			w.value, w.arg = args[i], i
		default:
			return i, g.fail("option requires an argument -- '%s'", bundle[pos:pos+1])
		}
		return i, found(w)
	}
	return i, nil
}

func (g *grammar) matchShort(c byte) (optionName, bool) {
	for _, o := range g.names {
		if o.short == c && c != 0 {
			return o, true
		}
	}
	return optionName{}, false
}
