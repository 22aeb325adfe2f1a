package server

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/jackc/pgpassfile"
)

// envPassword is libpq's password for a PostgreSQL server when none was given:
// that of PGSERVICE, PGPASSWORD, else the matching line of PGPASSFILE or ~/.pgpass. openGauss'
// libpq has neither (spec/cli.md §9), so they are never sent to openGauss.
//
// ignored tells why a password file that exists was not used.
func (d *dialer) envPassword(t target) (password, ignored string) {
	if pw := d.first("", "password", "PGPASSWORD"); pw != "" {
		return pw, ""
	}
	name, _ := d.Env("PGPASSFILE")
	if name == "" {
		home, _ := d.Env("HOME")
		if home == "" {
			return "", ""
		}
		name = filepath.Join(home, ".pgpass")
	}
	info, err := os.Stat(name)
	if err != nil {
		return "", ""
	}
	if !info.Mode().IsRegular() || info.Mode().Perm()&0o077 != 0 {
		return "", fmt.Sprintf("password file %s was ignored: it must be a plain file with mode 0600", name)
	}
	file, err := pgpassfile.ReadPassfile(name)
	if err != nil {
		return "", fmt.Sprintf("password file %s was ignored: %v", name, err)
	}
	host := d.host(t.port)
	if strings.HasPrefix(host, "/") {
		host = "localhost"
	}
	database := d.database
	if t.replication {
		database = "replication"
	}
	return file.FindPassword(host, strconv.Itoa(t.port), database, d.user), ""
}
