package cli

import (
	"slices"
	"strings"

	"gsprobackup/internal/catalog"
	"gsprobackup/internal/compat"
)

// Reference is the command line as data, for what is made of it at build time:
// man pages and shell completion (internal/manual). It is taken from the help
// pages of the newest release and from the option table, so neither can be
// forgotten.
type Reference struct {
	Commands []ReferenceCommand // in the order of the general help page
	// Everywhere are options of ours that work with every command, and those
	// no help page mentions: they are accepted for the sake of scripts.
	Everywhere []ReferenceOption
	Release    string // of openGauss
}

// ReferenceCommand is one sub-command.
type ReferenceCommand struct {
	Name, Summary string
	Synopsis      []string
	Groups        []ReferenceGroup
}

// ReferenceGroup is a block of options; the first of a command has no title.
type ReferenceGroup struct {
	Title   string
	Options []ReferenceOption
}

// ReferenceOption is one option.
type ReferenceOption struct {
	Long     string
	Short    byte     // 0 for none
	Argument string   // its name, "" for a flag
	Text     []string // lines; none for an option without a help page
	// Values are the words it takes, if there are few.
	Values []string
	Path   Path
}

// Path says what a value names in the file system.
type Path int

// What a value names.
const (
	NoPath Path = iota
	Directory
	AnyFile
)

// OptionNames lists the long names of all options that a command line may have.
func OptionNames() []string {
	var names []string
	for _, row := range allOptions() {
		if row.name != fileOnlyOption {
			names = append(names, row.name)
		}
	}
	return names
}

// fileOnlyOption is in the table to be refused.
const fileOnlyOption = "system-identifier"

// ReadReference collects the reference.
func ReadReference() (Reference, error) {
	profile, err := compat.Lookup(compat.Default)
	if err != nil {
		return Reference{}, err
	}
	ref := Reference{Release: profile.Release}
	summaries := map[string]string{}
	for _, c := range newSession(nil, Streams{}, Env{}).commandTree().Commands() {
		summaries[c.Name()] = c.Short
	}
	arguments, seen := map[string]bool{}, map[string]bool{}
	for _, row := range allOptions() {
		arguments[row.name] = row.arg
	}
	for _, page := range append(helpPages(profile), ownPages()...) {
		c := ReferenceCommand{Name: page.command, Summary: summaries[page.command]}
		for _, line := range page.synopsis {
			if line.text != "" {
				c.Synopsis = append(c.Synopsis, line.text)
			}
		}
		for _, g := range page.groups {
			group := ReferenceGroup{Title: g.title}
			for _, o := range g.options {
				option := referenceOption(o, arguments)
				seen[option.Long] = true
				group.Options = append(group.Options, option)
			}
			c.Groups = append(c.Groups, group)
		}
		ref.Commands = append(ref.Commands, c)
	}
	for _, row := range allOptions() {
		if seen[row.name] || row.name == fileOnlyOption {
			continue
		}
		o := helpOption{short: row.short, long: row.name, text: extensionTexts()[row.name]}
		if row.arg {
			o.long += "=value"
		}
		ref.Everywhere = append(ref.Everywhere, referenceOption(o, arguments))
	}
	// First what has an explanation.
	slices.SortStableFunc(ref.Everywhere, func(a, b ReferenceOption) int {
		return min(len(b.Text), 1) - min(len(a.Text), 1)
	})
	return ref, nil
}

// allOptions are all that any command line accepts.
func allOptions() []option {
	cfg := catalog.NewConfig()
	return append(optionTable(cfg), extensionOptions(cfg)...)
}

// referenceOption takes a line of a help page apart. A few of those lack the
// argument that the option takes.
func referenceOption(o helpOption, arguments map[string]bool) ReferenceOption {
	name, argument, _ := strings.Cut(o.long, "=")
	name = strings.TrimSuffix(name, "]") // "backup-pg-replslot]", as in the C tool
	if name == "backup-mode" {
		o.text = []string{"kind of backup"} // the C tool's page has no DELTA
	}
	if argument == "" && arguments[name] {
		argument = "value"
	}
	return ReferenceOption{Long: name, Short: o.short, Argument: argument, Text: o.text, Values: optionValues()[name], Path: optionPaths()[name]}
}

// extensionTexts explain the options of ours that work with every command.
func extensionTexts() map[string][]string {
	return map[string][]string{
		"help":          {"show the help page of the command"},
		"compat":        {"print as this release of openGauss does", "(default: $GS_PROBACKUP_COMPAT, else the newest)"},
		"hints":         {"say after an error what to do next (default on a terminal)"},
		"explain":       {"say for each backup what retention does with it, and why"},
		"log-format":    {"how lines of console and log files look (default: text)"},
		"remote-deploy": {"copy this program to a remote host that has none, for the time of the command"},
		"metrics-file":  {"report the end of the run to this file, for Prometheus"},
		"limit-rate":    {"bytes a second of the data directory that backup reads or restore writes", "(available units: 'B', 'kB', 'MB', 'GB', 'TB'; 0 for no limit)"},
		"latest":        {"recover to the end of the newest timeline in the archive"},
		"db-include":    {"restore this database (may be repeated), make the files of the others empty"},
		"db-exclude":    {"make the files of this database empty (may be repeated)"},
	}
}

func optionValues() map[string][]string {
	levels := []string{"off", "error", "warning", "info", "log", "verbose"}
	return map[string][]string{
		"backup-mode": {"FULL", "PTRACK", "DELTA"}, "format": {"plain", "json"}, "log-format": {"text", "json"},
		"log-level-console": levels, "log-level-file": levels, "compress-algorithm": {"zlib", "lz4", "zstd", "pglz", "none"},
		"incremental-mode": {"none", "checksum", "lsn"}, "media-type": {"s3", "disk"}, "s3-status": {"s3", "local"},
		"compat": compat.Names(), "recovery-target-inclusive": {"true", "false"}, "remote-proto": {"ssh", "none"},
		"status": {"OK", "ERROR", "RUNNING", "MERGING", "MERGED", "DELETING", "DELETED", "DONE", "ORPHAN", "CORRUPT"},
	}
}

func optionPaths() map[string]Path {
	return map[string]Path{
		"backup-path": Directory, "pgdata": Directory, "log-directory": Directory, "external-dirs": Directory,
		"remote-path": Directory, "prefetch-dir": Directory, "wal-file-path": AnyFile, "metrics-file": AnyFile, "ssh-config": AnyFile,
	}
}
