package cli

import (
	"errors"
	"strings"

	"gsprobackup/internal/catalog"
	"gsprobackup/internal/compat"
	"gsprobackup/internal/optvalue"
	"gsprobackup/internal/usererr"
)

// optionTable is the whole list in the C source's order: its own options,
// then the instance options. Instance options store into cfg.
func optionTable(cfg *catalog.Config) []option {
	table := commandLineOptions()
	for _, co := range catalog.ConfigOptions() {
		table = append(table, instanceOption(co, cfg))
	}
	return table
}

// instanceOption makes a row of an option that the config file shares.
func instanceOption(co *catalog.ConfigOption, cfg *catalog.Config) option {
	row := option{
		name:   co.Key,
		short:  co.Short,
		arg:    co.Kind != catalog.KindBool,
		secret: co.Key == "access-key",
	}
	switch co.Group {
	case catalog.GroupDSS:
		row.since = "5.0"
	case catalog.GroupS3:
		row.since = "6.0"
	}
	if co.Key == "remote-libpath" {
		row.since = "3.0"
	}
	if co.Repeat {
		row.again = lastWins
	}
	row.set = func(_ *options, value string) error {
		if co.FileOnly {
			return usererr.New("Option %s cannot be specified in command line", co.Key)
		}
		if co.Kind == catalog.KindBool {
			value = "true"
		}
		return cfg.Set(co, value, catalog.FromCommandLine)
	}
	return row
}

// parser converts the options of a command line as getopt finds them, so that
// of several faults the leftmost is reported (spec/cli.md §2 step 2).
type parser struct {
	rows    []option // ids are indexes into this list
	seen    map[int]bool
	opts    *options
	secrets []word // the secret values found
}

// parseOptions reads args, the words after the sub-command, into opts and cfg.
// It returns where secret values stand in args, also together with an error.
func parseOptions(prog string, args []string, posix bool, p compat.Profile, opts *options, cfg *catalog.Config) (secrets []word, err error) {
	native := optionTable(cfg)
	ps := &parser{rows: append(native, extensionOptions(cfg)...), seen: map[int]bool{}, opts: opts}
	opts.given = map[string]bool{}
	g := &grammar{prog: prog, posix: posix}
	for i, row := range ps.rows {
		name := optionName{long: row.name, short: row.short, arg: row.arg, id: ps.idOf(i)}
		if i < len(native) && p.Since(row.since) {
			g.names = append(g.names, name)
		} else {
			g.exact = append(g.exact, name)
		}
	}
	err = g.scan(args, ps.found)
	return ps.secrets, err
}

// idOf is the index of the row that row i is a synonym of, or i.
func (p *parser) idOf(i int) int {
	if p.rows[i].sameAs == "" {
		return i
	}
	for j := range p.rows {
		if p.rows[j].name == p.rows[i].sameAs {
			return j
		}
	}
	return i
}

func (p *parser) found(w word) error {
	row := p.rows[w.id]
	if row.secret {
		p.secrets = append(p.secrets, w)
	}
	if p.seen[w.id] && row.again == once {
		return onceError(row, w.value)
	}
	p.seen[w.id] = true
	p.opts.given[row.name] = true
	return nameError(row, row.set(p.opts, w.value))
}

// onceError has the value behind it unless the option is a flag.
func onceError(row option, value string) error {
	bad := &optvalue.OptionError{Short: row.short, Long: row.name, Bad: &optvalue.BadValue{Want: optvalue.WantOnce, Value: value}}
	text := bad.Error()
	if !row.arg {
		text = strings.TrimSuffix(text, ": ''")
	}
	return usererr.Wrap(bad, "%s", text)
}

// nameError completes a conversion error with the option's names (§5.1).
func nameError(row option, err error) error {
	var bad *optvalue.BadValue
	var user *usererr.Error
	if errors.As(err, &user) || !errors.As(err, &bad) {
		return err
	}
	named := &optvalue.OptionError{Short: row.short, Long: row.name, Bad: bad}
	return usererr.Wrap(named, "%s", named)
}

// maskSecrets blanks secret values in the process list and in the copy kept
// for the log file. first is the number of the words' args[0] among all
// arguments of the process.
func (s *session) maskSecrets(secrets []word, first int) {
	for _, w := range secrets {
		if w.value == "" {
			continue
		}
		n := first + w.arg
		s.args[n] = s.args[n][:w.off] + "*"
		if s.env.MaskArgument != nil {
			s.env.MaskArgument(n, w.off)
		}
	}
}
