package cli

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"gsprobackup/internal/catalog"
	"gsprobackup/internal/logging"
)

// audit writes the line of openGauss 6.0's audit log (spec/cli.md §7.5). What
// goes wrong with it is told on stdout, as the C tool does, and changes nothing
// else.
func (s *session) audit() {
	root, _ := s.env.LookupEnv("GAUSSLOG")
	if root == "" || !s.profile.AuditLog || s.byServer() {
		return
	}
	err := errors.New("current path is not absolute path ,can't find the exec path.")
	if filepath.IsAbs(root) {
		err = logging.Audit{
			FS: s.env.FS, Root: root, Now: s.env.Now().In(s.env.Location), User: s.env.UserName(),
		}.Record(s.succeeded, auditLine(s.args[1:]))
	}
	if err != nil {
		_, _ = fmt.Fprintln(s.streams.Out, err)
	}
}

// byServer tells that not a person but a server ran the command, some times a
// minute.
func (s *session) byServer() bool {
	return len(s.args) > 1 && (s.args[1] == archivePush || s.args[1] == archiveGet)
}

// auditLine is the command line without its password: the C tool leaves out
// the four plain ways to write one. Secrets written in other ways, which it
// prints, are masked (spec/cli.md §13 row 10).
func auditLine(args []string) string {
	args = maskedWords(args)
	line := "gs_probackup "
	for i := 0; i < len(args); i++ {
		switch a := args[i]; {
		case a == "-W" || a == "--password":
			i++
			continue
		case strings.HasPrefix(a, "-W") || strings.HasPrefix(a, "--password="):
			continue
		}
		line += args[i]
		if i < len(args)-1 {
			line += " "
		}
	}
	return line
}

// maskedWords masks what may be a secret by its look alone. Most have been
// masked when they were read; after a faulty option nothing was.
func maskedWords(args []string) []string {
	masked := append([]string(nil), args...)
	for i, a := range masked {
		name, value, given := strings.Cut(a, "=")
		at := bundledPassword(a)
		switch {
		case at > 0 && at < len(a):
			masked[i] = a[:at] + "*"
		case maySecret(name) && given && value != "":
			masked[i] = name + "=*"
		case (at > 0 || maySecret(name) && !given) && i+1 < len(masked):
			masked[i+1] = "*"
		}
	}
	return masked
}

// bundledPassword is where the value of -W begins in a bundle of flags such as
// -CW, or 0.
func bundledPassword(word string) int {
	if !strings.HasPrefix(word, "-") || strings.HasPrefix(word, "--") {
		return 0
	}
	flags := strings.TrimLeft(word[1:], "Cw")
	if !strings.HasPrefix(flags, "W") {
		return 0
	}
	return len(word) - len(flags) + 1
}

// maySecret tells whether a word names an option with a secret, or is the
// beginning of such a name.
func maySecret(word string) bool {
	name, ok := strings.CutPrefix(word, "--")
	if !ok || name == "" {
		return false
	}
	for _, row := range optionTable(catalog.NewConfig()) {
		if row.secret && strings.HasPrefix(row.name, name) {
			return true
		}
	}
	return false
}
