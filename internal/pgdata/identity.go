package pgdata

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Majors of PostgreSQL the tool knows.
const (
	MinPostgreSQL = 12
	MaxPostgreSQL = 18
)

// ParseVersionFile tells family and major from PG_VERSION: openGauss says 9.2
// in every release, PostgreSQL its major number.
func ParseVersionFile(b []byte) (Family, int, error) {
	text := strings.TrimSpace(string(b))
	if text == "9.2" {
		return OpenGauss, 9, nil
	}
	major, err := strconv.Atoi(text)
	if err != nil || major < MinPostgreSQL || major > MaxPostgreSQL {
		return 0, 0, fmt.Errorf("read PG_VERSION: version %.20q is not supported", text)
	}
	return PostgreSQL, major, nil
}

// ErrMangledPIDFile says that a postmaster.pid does not begin with a process
// number; the C tool then takes the server as running (spec/formats.md §12).
var ErrMangledPIDFile = errors.New("postmaster.pid does not begin with a process number")

// ParsePIDFile reads the process number from postmaster.pid. A stand-alone
// server writes it negative; the result is positive.
func ParsePIDFile(b []byte) (int, error) {
	text := strings.TrimLeft(string(b), " \t\r\n")
	if i := strings.IndexAny(text, " \t\r\n"); i >= 0 {
		text = text[:i]
	}
	pid, err := strconv.ParseInt(text, 10, 32)
	if err != nil || pid == 0 {
		return 0, ErrMangledPIDFile
	}
	if pid < 0 {
		pid = -pid
	}
	return int(pid), nil
}
