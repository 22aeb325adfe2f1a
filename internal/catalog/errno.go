package catalog

import (
	"errors"
	"strings"
	"syscall"
)

// errnoText is what C's strerror says, for the C tool's message texts: Go's
// wording with a capital first letter.
func errnoText(err error) string {
	var errno syscall.Errno
	text := err.Error()
	if errors.As(err, &errno) {
		text = errno.Error()
	}
	if text == "" {
		return text
	}
	return strings.ToUpper(text[:1]) + text[1:]
}
