package keyfile

import (
	"fmt"
	"strings"
)

// ValueError tells that a value cannot be stored so that it is read back
// unchanged, by this program and by the C tool.
type ValueError struct {
	Key    string
	Reason string
}

func (e *ValueError) Error() string { return fmt.Sprintf("store %s: %s", e.Key, e.Reason) }

// Quoted formats key = 'value' with quotes inside the value doubled, as
// backup.control has its text values. For a value without quotes that is
// exactly the C tool's line.
func Quoted(key, value string) (string, error) {
	return checked(key, value, key+" = '"+strings.ReplaceAll(value, "'", "''")+"'\n")
}

// Auto formats key = value, in quotes when the value contains a blank, as the
// C tool writes pg_probackup.conf, and also when it would not survive a reload
// without them (spec/formats.md §14 row 15).
func Auto(key, value string) (string, error) {
	if value == "" || value[0] == '\'' || strings.ContainsAny(value, " \t#") {
		return Quoted(key, value)
	}
	return checked(key, value, key+" = "+value+"\n")
}

// checked refuses what no quoting can save.
func checked(key, value, line string) (string, error) {
	switch {
	case value == "":
		return "", &ValueError{Key: key, Reason: "the value is empty"}
	case strings.ContainsAny(value, "\n\r\v\f\x00"):
		return "", &ValueError{Key: key, Reason: "the value contains a line break or a zero byte"}
	case len(line) > MaxLine:
		return "", &ValueError{Key: key, Reason: fmt.Sprintf(
			"the line would be %d bytes long, at most %d can be read back", len(line), MaxLine)}
	}
	return line, nil
}
