package cli

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"gsprobackup/internal/compat"
)

// This file lays out the help pages from the data of helppages.go and
// helpoptions.go, in the C tool's columns (spec/cli.md §1.3): scripts cut
// options and defaults out of them.

const (
	synopsisIndent = 17 // continuation lines of a synopsis
	helpColumn     = 35 // bytes before an option's text
)

// helpPage is what the page of one command is made of.
type helpPage struct {
	command  string
	synopsis []synopsisLine
	groups   []helpGroup
}

// synopsisLine is one line of a synopsis. The first line of a page follows
// the command's name.
type synopsisLine struct {
	text string
	// general replaces text in the list of all commands. The C tool's two
	// places differ in a few spots.
	general string
	// pageOnly lines are left out of the general list.
	pageOnly bool
	// last ends the synopsis without the empty line behind it.
	last bool
}

// helpGroup is a block of options. The first group of a page has no title.
type helpGroup struct {
	title   string
	options []helpOption
}

// helpOption is one option with its description.
type helpOption struct {
	short byte
	long  string   // with its argument: "ttl=interval"
	text  []string // lines
	// alone puts the text on the next line even if the name would fit.
	alone bool
	// column overrides helpColumn, for one crooked line of the C tool.
	column int
}

// same makes synopsis lines that read alike in both places.
func same(lines ...string) []synopsisLine {
	out := make([]synopsisLine, len(lines))
	for i, l := range lines {
		out[i] = synopsisLine{text: l}
	}
	return out
}

// printGeneralHelp writes the page of all commands.
func printGeneralHelp(w io.Writer, prog string, p compat.Profile) error {
	var b strings.Builder
	fmt.Fprintf(&b, "\n%s - utility to manage backup/recovery of openGauss database.\n", prog)
	fmt.Fprintf(&b, "\n  %s help [COMMAND]\n", prog)
	fmt.Fprintf(&b, "\n  %s version\n", prog)
	for _, page := range helpPages(p) {
		fmt.Fprintf(&b, "\n  %s %s", prog, page.command)
		writeSynopsis(&b, page.synopsis, true)
		if page.command == "init" {
			b.WriteString(" [--help]\n")
		} else {
			fmt.Fprintf(&b, "\n%*s[--help]\n", synopsisIndent, "")
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// printHelp writes the page of one command; ok is false if there is none.
func printHelp(w io.Writer, prog, command string, p compat.Profile) (ok bool, err error) {
	pages := append(helpPages(p), ownPages()...)
	i := slices.IndexFunc(pages, func(page helpPage) bool { return page.command == command })
	if i < 0 {
		return false, nil
	}
	page := pages[i]
	var b strings.Builder
	fmt.Fprintf(&b, "\n%s %s", prog, command)
	writeSynopsis(&b, page.synopsis, false)
	if !page.synopsis[len(page.synopsis)-1].last {
		b.WriteString("\n")
	}
	for n, g := range page.groups {
		last := n == len(page.groups)-1
		if last && g.title == titleS3 {
			// The pages that end with S3 have their empty line before
			// the group instead of at the end.
			b.WriteString("\n")
		}
		writeGroup(&b, g)
		if last && g.title != titleS3 {
			b.WriteString("\n")
		}
	}
	_, err = io.WriteString(w, b.String())
	return true, err
}

func writeSynopsis(b *strings.Builder, lines []synopsisLine, general bool) {
	for i, l := range lines {
		text := l.text
		if general {
			if l.pageOnly {
				continue
			}
			if l.general != "" {
				text = l.general
			}
		}
		switch {
		case i == 0:
			b.WriteString(" " + text)
		case text == "":
			b.WriteString("\n")
		default:
			fmt.Fprintf(b, "\n%*s%s", synopsisIndent, "", text)
		}
	}
	if !general {
		b.WriteString("\n")
	}
}

func writeGroup(b *strings.Builder, g helpGroup) {
	if g.title != "" {
		fmt.Fprintf(b, "\n  %s options:\n", g.title)
	}
	for _, o := range g.options {
		writeOption(b, o)
	}
}

func writeOption(b *strings.Builder, o helpOption) {
	name := "      --" + o.long
	if o.short != 0 {
		name = fmt.Sprintf("  -%c, --%s", o.short, o.long)
	}
	column := helpColumn
	if o.column != 0 {
		column = o.column
	}
	for i, line := range o.text {
		switch {
		case i == 0 && !o.alone && len(name) < column:
			fmt.Fprintf(b, "%-*s%s\n", column, name, line)
		case i == 0:
			fmt.Fprintf(b, "%s\n%*s%s\n", name, helpColumn, "", line)
		default:
			fmt.Fprintf(b, "%*s%s\n", helpColumn, "", line)
		}
	}
}
