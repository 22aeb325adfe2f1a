package checker

import (
	"os"
	"regexp"
	"strings"
)

// confGroups are the groups and keys of pg_probackup.conf in order (§2.2).
var confGroups = []struct {
	title string
	keys  []string
}{
	{"Backup instance information", []string{"pgdata", "system-identifier", "xlog-seg-size", "external-dirs"}},
	{"Connection parameters", []string{"pgdatabase", "pghost", "pgport", "pguser"}},
	{"Archive parameters", []string{"archive-timeout", "archive-host", "archive-port", "archive-user", "restore-command"}},
	{"Logging parameters", []string{"log-level-console", "log-level-file", "log-filename", "error-log-filename", "log-directory", "log-rotation-size", "log-rotation-age"}},
	{"Retention parameters", []string{"retention-redundancy", "retention-window", "wal-depth"}},
	{"Compression parameters", []string{"compress-algorithm", "compress-level"}},
	{"Remote access parameters", []string{"remote-proto", "remote-host", "remote-port", "remote-path", "remote-user", "ssh-options", "ssh-config", "remote-libpath"}},
	{"DSS connect parameters", []string{"enable-dss", "vgname", "socketpath", "instance-id"}},
	{"S3 connect parameters", []string{"access-id", "access-key", "endpoint", "region", "access-bucket"}},
}

var confLineRE = regexp.MustCompile(`^([a-z0-9-]+) = (?:'([^']*)'|([^' ][^ ]*))$`)

// conf checks the instance's configuration: known keys, in order, each under
// its group's comment, quoted exactly when there is a space.
func (c *check) conf(rel string) {
	text, ok := c.read(rel, "§2")
	if !ok {
		return
	}
	rank, group := map[string]int{}, map[string]string{}
	for g, def := range confGroups {
		for k, key := range def.keys {
			rank[key], group[key] = g*100+k, def.title
		}
	}
	title, last, seen := "", -1, map[string]bool{}
	for i, line := range strings.Split(strings.TrimSuffix(string(text), "\n"), "\n") {
		if t, ok := strings.CutPrefix(line, "# "); ok {
			title = t
			continue
		}
		m := confLineRE.FindStringSubmatch(line)
		if m == nil {
			c.bad(rel, "§2.1", "line %d: %q is not `key = value`", i+1, line)
			continue
		}
		key := m[1]
		switch r, known := rank[key]; {
		case !known:
			c.bad(rel, "§2.2", "line %d: unknown key %q", i+1, key)
		case r <= last:
			c.bad(rel, "§2.2", "line %d: key %q is out of order", i+1, key)
		case title != group[key]:
			c.bad(rel, "§2.1", "line %d: key %q stands under %q", i+1, key, title)
		default:
			last = r
		}
		if m[2] != "" && !strings.Contains(m[2], " ") {
			c.bad(rel, "§2.1", "line %d: quoted without need", i+1)
		}
		seen[key] = true
	}
	if !seen["system-identifier"] { // pgdata may come from the environment
		c.bad(rel, "§2.2", "has no system-identifier")
	}
	if st, err := os.Lstat(c.abs(rel)); err == nil && st.Mode().Perm()&0o600 != 0o600 {
		c.bad(rel, "§1.1", "mode %04o", st.Mode().Perm())
	}
}
