package agent

import (
	"path"
	"strings"
)

// String is the command for the far shell, spelled as the C tool does.
func (c Command) String() string {
	if c.Path == "" {
		return quoteBlanks(c.Program) + " agent"
	}
	program := quoteBlanks(path.Join(c.Path, path.Base(c.Program))) + " agent"
	if c.LibPath == "" {
		return " " + program
	}
	return "export LD_LIBRARY_PATH=" + c.LibPath + " && " + program
}

// quoteBlanks quotes a path that a shell would take apart.
func quoteBlanks(p string) string {
	if !strings.ContainsAny(p, " \t") {
		return p
	}
	return `"` + p + `"`
}
