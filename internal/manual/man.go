// Package manual makes man pages and shell completion from the command line's
// own tables (cli.Reference), when a package is built.
//
// It owns the forms: roff, and the scripts of bash, zsh and fish. It leaves
// what there is to say to internal/cli and writing files to cmd/manual.
package manual

import (
	"fmt"
	"strings"

	"gsprobackup/internal/cli"
)

// Program is the name of the tool, and of its pages.
const Program = "gs_probackup"

// File is a generated file.
type File struct {
	Name string // below the prefix, such as "share/man/man1/gs_probackup.1"
	Text string
}

// Files are all that is generated. date is that of the source, YYYY-MM-DD.
func Files(ref cli.Reference, date string) []File {
	files := []File{
		{"share/man/man1/" + Program + ".1", mainPage(ref, date)},
		{"share/bash-completion/completions/" + Program, bash(ref)},
		{"share/zsh/site-functions/_" + Program, zsh(ref)},
		{"share/fish/vendor_completions.d/" + Program + ".fish", fish(ref)},
	}
	for _, c := range ref.Commands {
		files = append(files, File{"share/man/man1/" + Program + "-" + c.Name + ".1", commandPage(ref, c, date)})
	}
	return files
}

func header(title, date, release string) string {
	return fmt.Sprintf(".TH %q 1 %q %q %q\n", strings.ToUpper(title), date, Program+" for openGauss "+release, "Backup and recovery")
}

func mainPage(ref cli.Reference, date string) string {
	var b strings.Builder
	b.WriteString(header(Program, date, ref.Release))
	b.WriteString(".SH NAME\n" + Program + ` \- back up and restore openGauss and PostgreSQL clusters
.SH SYNOPSIS
.B ` + Program + `
.I COMMAND
.RI [ options ]
.br
.B ` + Program + ` help
.RI [ COMMAND ]
.br
.B ` + Program + ` version
.SH DESCRIPTION
A physical backup tool in the place of openGauss' program of the same name.
Backups are kept in a catalog, a directory that
.B init
makes; a cluster becomes an instance of it with
.BR add\-instance .
.SH COMMANDS
`)
	for _, c := range ref.Commands {
		fmt.Fprintf(&b, ".TP\n.BR %s\\-%s (1)\n%s\n", Program, escape(c.Name), escape(c.Summary))
	}
	b.WriteString(".SH OPTIONS OF ALL COMMANDS\nEvery option is accepted with every command. These have no page of their own:\n")
	for _, o := range ref.Everywhere {
		writeOption(&b, o)
	}
	b.WriteString(`.SH EXIT STATUS
0 for success, else 1.
.B validate
of all backups gives 1 when one is bad.
.SH ENVIRONMENT
.TP
.B BACKUP_PATH
the catalog, without
.BR \-B .
.TP
.BR PGDATA ", " PGDATABASE ", " PGUSER
data directory and database of an instance that has no setting.
.TP
.B GS_PROBACKUP_COMPAT
the release of openGauss whose output is wanted.
.TP
.B GAUSSLOG
where the audit log goes.
.SH FILES
.TP
.I BACKUP_PATH/backups/INSTANCE/pg_probackup.conf
settings of an instance, made by
.BR set\-config .
.TP
.I BACKUP_PATH/log/pg_probackup.log
the log file, with
.BR \-\-log\-level\-file .
.SH SEE ALSO
`)
	var pages []string
	for _, c := range ref.Commands {
		pages = append(pages, fmt.Sprintf(".BR %s\\-%s (1)", Program, escape(c.Name)))
	}
	b.WriteString(strings.Join(pages, ",\n") + "\n")
	return b.String()
}

func commandPage(ref cli.Reference, c cli.ReferenceCommand, date string) string {
	var b strings.Builder
	name := Program + "-" + c.Name
	b.WriteString(header(name, date, ref.Release))
	fmt.Fprintf(&b, ".SH NAME\n%s \\- %s\n.SH SYNOPSIS\n.B %s %s\n", escape(name), escape(c.Summary), Program, escape(c.Name))
	for _, line := range c.Synopsis {
		b.WriteString(".br\n" + escape(line) + "\n")
	}
	for _, g := range c.Groups {
		title := "OPTIONS"
		if g.Title != "" {
			title = strings.ToUpper(g.Title) + " OPTIONS"
		}
		b.WriteString(".SH " + title + "\n")
		for _, o := range g.Options {
			writeOption(&b, o)
		}
	}
	fmt.Fprintf(&b, ".SH SEE ALSO\n.BR %s (1)\n", Program)
	return b.String()
}

func writeOption(b *strings.Builder, o cli.ReferenceOption) {
	b.WriteString(".TP\n.B ")
	if o.Short != 0 {
		fmt.Fprintf(b, "\\-%c\\fR, \\fB", o.Short)
	}
	b.WriteString(`\-\-` + escape(o.Long))
	if o.Argument != "" {
		b.WriteString(`\fR=\fI` + escape(o.Argument))
	}
	b.WriteString("\n")
	for _, line := range o.Text {
		b.WriteString(escape(line) + "\n")
	}
	if len(o.Values) > 0 && !strings.Contains(strings.Join(o.Text, " "), "available options") {
		b.WriteString("one of " + escape(strings.Join(o.Values, ", ")) + "\n")
	}
	if len(o.Text) == 0 && len(o.Values) == 0 {
		b.WriteString("accepted for the sake of scripts\n")
	}
}

// escape keeps text from being read as roff.
func escape(s string) string {
	s = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(s)
	if strings.HasPrefix(s, ".") || strings.HasPrefix(s, "'") {
		s = `\&` + s
	}
	return s
}
