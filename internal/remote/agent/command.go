package agent

import (
	"path"
	"strings"
)

// String is the command for the far shell, spelled as the C tool does. Paths
// that the C tool would hand to the shell with a meaning of their own are
// quoted.
func (c Command) String() string {
	if c.Path == "" {
		return quote(c.Program) + " agent"
	}
	program := quote(path.Join(c.Path, path.Base(c.Program))) + " agent"
	if c.LibPath == "" {
		return " " + program
	}
	return "export LD_LIBRARY_PATH=" + quote(c.LibPath) + " && " + program
}

// harmless are the characters, besides letters, digits and those outside
// ASCII, that a shell takes as they are. A tilde is left to it on purpose.
const harmless = "/._-+,:=@%~"

// quote writes a path so that a shell reads one word: as it is where that
// will do, in double quotes for blanks as the C tool has it, else in single
// quotes.
func quote(p string) string {
	quotes := ""
	for _, r := range p {
		switch {
		case r >= 0x80, r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', strings.ContainsRune(harmless, r):
		case r == ' ' || r == '\t':
			quotes = `"`
		default:
			return "'" + strings.ReplaceAll(p, "'", `'\''`) + "'"
		}
	}
	return quotes + p + quotes
}
