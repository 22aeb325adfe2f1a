package usererr

import (
	"errors"
	"strings"
	"syscall"
)

// Reason is the last part of a C message about a failed system call: the
// operating system's words for err, without path, spelled as the C library
// does ("No such file or directory"). For other errors it is err's own text.
func Reason(err error) string {
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		return err.Error()
	}
	text := errno.Error()
	// Go has the same table with a small first letter.
	return strings.ToUpper(text[:1]) + text[1:]
}
