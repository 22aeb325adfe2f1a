package manual

import (
	"fmt"
	"slices"
	"strings"

	"gsprobackup/internal/cli"
)

// options are those offered for a command: the ones on its page, and ours that
// have an explanation. The others are accepted, not offered.
func options(ref cli.Reference, c cli.ReferenceCommand) []cli.ReferenceOption {
	var list []cli.ReferenceOption
	for _, g := range c.Groups {
		list = append(list, g.Options...)
	}
	for _, o := range ref.Everywhere {
		if len(o.Text) > 0 {
			list = append(list, o)
		}
	}
	return list
}

// everyOption lists each option once, for what its values are.
func everyOption(ref cli.Reference) []cli.ReferenceOption {
	list := slices.Clone(ref.Everywhere)
	for _, c := range ref.Commands {
		for _, o := range options(ref, c) {
			if !slices.ContainsFunc(list, func(other cli.ReferenceOption) bool { return other.Long == o.Long }) {
				list = append(list, o)
			}
		}
	}
	return list
}

func commandNames(ref cli.Reference) string {
	names := []string{"help", "version"}
	for _, c := range ref.Commands {
		names = append(names, c.Name)
	}
	return strings.Join(names, " ")
}

func summary(o cli.ReferenceOption) string {
	if len(o.Text) == 0 {
		return ""
	}
	return o.Text[0]
}

// bash completes commands, options, values, directories, and what is in the
// catalog: instances and backups.
func bash(ref cli.Reference) string {
	var b strings.Builder
	b.WriteString(`# bash completion for ` + Program + `. Generated; do not edit.

_gs_probackup() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} words= catalog=${BACKUP_PATH-} instance= i
	COMPREPLY=()
	if [ "$COMP_CWORD" = 1 ]; then
		COMPREPLY=($(compgen -W "` + commandNames(ref) + `" -- "$cur"))
		return
	fi
	# "--option=value" comes as three words.
	if [ "$cur" = = ]; then
		cur=
	elif [ "$prev" = = ]; then
		prev=${COMP_WORDS[COMP_CWORD-2]}
	fi
	for ((i = 2; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		-B | --backup-path) catalog=${COMP_WORDS[i+1]} && [ "$catalog" = = ] && catalog=${COMP_WORDS[i+2]} ;;
		--instance) instance=${COMP_WORDS[i+1]} && [ "$instance" = = ] && instance=${COMP_WORDS[i+2]} ;;
		esac
	done
	case $prev in
	--instance) COMPREPLY=($(compgen -W "$(ls "$catalog/backups" 2>/dev/null)" -- "$cur")) && return ;;
	-i | --backup-id) COMPREPLY=($(compgen -W "$(cd "$catalog/backups/$instance" 2>/dev/null && ls -d */ | tr -d /)" -- "$cur")) && return ;;
`)
	for _, o := range everyOption(ref) {
		names := "--" + o.Long
		if o.Short != 0 {
			names = fmt.Sprintf("-%c | %s", o.Short, names)
		}
		switch {
		case o.Long == "instance" || o.Long == "backup-id":
		case len(o.Values) > 0:
			fmt.Fprintf(&b, "\t%s) COMPREPLY=($(compgen -W %q -- \"$cur\")) && return ;;\n", names, strings.Join(o.Values, " "))
		case o.Path == cli.Directory:
			fmt.Fprintf(&b, "\t%s) compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -d -- \"$cur\")) && return ;;\n", names)
		case o.Path == cli.AnyFile:
			fmt.Fprintf(&b, "\t%s) compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- \"$cur\")) && return ;;\n", names)
		case o.Argument != "":
			fmt.Fprintf(&b, "\t%s) return ;;\n", names)
		}
	}
	b.WriteString("\tesac\n\tcase ${COMP_WORDS[1]} in\n\thelp) words=\"" + commandNames(ref) + "\" ;;\n")
	for _, c := range ref.Commands {
		var words []string
		for _, o := range options(ref, c) {
			word := "--" + o.Long
			if o.Argument != "" {
				word += "="
			}
			words = append(words, word)
		}
		fmt.Fprintf(&b, "\t%s) words=%q ;;\n", c.Name, strings.Join(words, " "))
	}
	b.WriteString(`	esac
	COMPREPLY=($(compgen -W "$words" -- "$cur"))
	if [ "${#COMPREPLY[@]}" = 1 ] && [ "${COMPREPLY[0]%=}" != "${COMPREPLY[0]}" ]; then
		compopt -o nospace 2>/dev/null
	fi
	return 0
}

complete -F _gs_probackup ` + Program + "\n")
	return b.String()
}

func zsh(ref cli.Reference) string {
	var b strings.Builder
	b.WriteString("#compdef " + Program + "\n# Generated; do not edit.\n\n_gs_probackup() {\n\tlocal -a commands\n\tcommands=(\n\t\t'help:show help pages'\n\t\t'version:show the version'\n")
	for _, c := range ref.Commands {
		fmt.Fprintf(&b, "\t\t'%s:%s'\n", c.Name, zshText(c.Summary))
	}
	b.WriteString("\t)\n\tif ((CURRENT == 2)); then\n\t\t_describe command commands\n\t\treturn\n\tfi\n\tcase $words[2] in\n\thelp) _describe command commands ;;\n")
	for _, c := range ref.Commands {
		fmt.Fprintf(&b, "\t%s)\n\t\t_arguments", c.Name)
		for _, o := range options(ref, c) {
			b.WriteString(" \\\n\t\t\t" + zshOption(o))
		}
		b.WriteString("\n\t\t;;\n")
	}
	b.WriteString("\tesac\n}\n\n_gs_probackup \"$@\"\n")
	return b.String()
}

func zshOption(o cli.ReferenceOption) string {
	text := "[" + zshText(summary(o)) + "]"
	long, short := "--"+o.Long, ""
	if o.Short != 0 {
		short = fmt.Sprintf("-%c", o.Short)
	}
	if o.Argument != "" {
		long += "="
		action := " "
		switch {
		case len(o.Values) > 0:
			action = "(" + strings.Join(o.Values, " ") + ")"
		case o.Path == cli.Directory:
			action = "_files -/"
		case o.Path == cli.AnyFile:
			action = "_files"
		}
		text += ":" + zshText(o.Argument) + ":" + action
		if short != "" {
			short += "+"
		}
	}
	if short == "" {
		return "'" + long + text + "'"
	}
	return fmt.Sprintf("'(-%c --%s)'{%s,%s}'%s'", o.Short, o.Long, short, long, text)
}

// zshText goes into a quoted specification of _arguments.
func zshText(s string) string {
	return strings.NewReplacer("'", "", "[", "(", "]", ")", ":", " ", `\`, "").Replace(s)
}

func fish(ref cli.Reference) string {
	var b strings.Builder
	b.WriteString("# fish completion for " + Program + ". Generated; do not edit.\n\ncomplete -c " + Program + " -f\n")
	line := func(condition, rest string) {
		fmt.Fprintf(&b, "complete -c %s -n %s %s\n", Program, condition, rest)
	}
	line("__fish_use_subcommand", "-a help -d 'show help pages'")
	line("__fish_use_subcommand", "-a version -d 'show the version'")
	for _, c := range ref.Commands {
		line("__fish_use_subcommand", fmt.Sprintf("-a %s -d %s", c.Name, fishText(c.Summary)))
	}
	line("'__fish_seen_subcommand_from help'", "-a '"+commandNames(ref)+"'")
	for _, c := range ref.Commands {
		for _, o := range options(ref, c) {
			rest := "-l " + o.Long
			if o.Short != 0 {
				rest += fmt.Sprintf(" -s %c", o.Short)
			}
			switch {
			case o.Argument == "":
			case len(o.Values) > 0:
				rest += " -x -a '" + strings.Join(o.Values, " ") + "'"
			case o.Path == cli.Directory:
				rest += " -x -a '(__fish_complete_directories)'"
			case o.Path == cli.AnyFile:
				rest += " -r -F"
			default:
				rest += " -x"
			}
			if len(o.Text) > 0 {
				rest += " -d " + fishText(summary(o))
			}
			line("'__fish_seen_subcommand_from "+c.Name+"'", rest)
		}
	}
	return b.String()
}

func fishText(s string) string {
	return "'" + strings.ReplaceAll(strings.ReplaceAll(s, `\`, `\\`), "'", `\'`) + "'"
}
