// Package checker is a strict reader of backup catalogs, written from
// formats.md alone (§1.1, §2, §3, §4, §5, §9, §12, §13). It is the second
// opinion on what the product writes: it shares no code with it, accepts one
// spelling only, and looks at every byte that the format defines.
//
// CompareTree is the same for what a restore made of a chain (§5.7, §7.8, §8).
//
// What it leaves to others: whether WAL records are sound (it looks at segment
// names, sizes and page headers).
package checker

import (
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
)

// Problem is one departure from the format. Notes are things that a correct
// writer may produce too and a person should know.
type Problem struct {
	Path   string // relative to the checked directory
	Rule   string // section of formats.md
	Detail string
	Note   bool
}

func (p Problem) String() string {
	kind := ""
	if p.Note {
		kind = "note: "
	}
	return fmt.Sprintf("%s%s: %s (formats.md %s)", kind, p.Path, p.Detail, p.Rule)
}

// Options select how strict the check is.
type Options struct {
	// Foreign accepts what the C tool is known to leave behind and a clone
	// must not: garbage in header-map padding and after pg_control's data,
	// lock files, dssdata, a missing storage group, a missing file_type.
	Foreign bool
	// OnlyFinished reports backups that are not OK, DONE or ORPHAN as notes.
	OnlyFinished bool
}

// Stats counts what was looked at.
type Stats struct {
	Backups, Files, DataFiles, Pages, ZeroPages int
	Bytes                                       int64
}

// Check checks a whole catalog: dir is the directory given to -B.
func Check(dir string, opts Options) ([]Problem, Stats, error) {
	c := &check{root: dir, opts: opts}
	if err := c.catalog(); err != nil {
		return nil, c.stats, err
	}
	return c.problems, c.stats, nil
}

// CheckBackup checks one backup directory on its own: everything but the
// chain.
func CheckBackup(dir string, opts Options) ([]Problem, Stats, error) {
	c := &check{root: dir, opts: opts}
	c.backup(".")
	return c.problems, c.stats, nil
}

// Errors are the problems that are not notes.
func Errors(list []Problem) []Problem {
	var out []Problem
	for _, p := range list {
		if !p.Note {
			out = append(out, p)
		}
	}
	return out
}

type check struct {
	root     string
	opts     Options
	problems []Problem
	stats    Stats
}

func (c *check) bad(path, rule, format string, args ...any) {
	c.problems = append(c.problems, Problem{Path: path, Rule: rule, Detail: fmt.Sprintf(format, args...)})
}

func (c *check) note(path, rule, format string, args ...any) {
	c.problems = append(c.problems, Problem{Path: path, Rule: rule, Detail: fmt.Sprintf(format, args...), Note: true})
}

// foreign is a problem for our writer and nothing for the C tool's catalogs.
func (c *check) foreign(path, rule, format string, args ...any) {
	if !c.opts.Foreign {
		c.bad(path, rule, format, args...)
	}
}

func (c *check) abs(rel string) string { return filepath.Join(c.root, rel) }

// read reports a file that cannot be read.
func (c *check) read(rel, rule string) ([]byte, bool) {
	data, err := os.ReadFile(c.abs(rel))
	if err != nil {
		c.bad(rel, rule, "%v", err)
		return nil, false
	}
	return data, true
}

// mode checks kind and permission of a directory entry.
func (c *check) mode(rel string, dir bool, perm os.FileMode) bool {
	st, err := os.Lstat(c.abs(rel))
	switch {
	case err != nil:
		c.bad(rel, "§1.1", "%v", err)
		return false
	case st.IsDir() != dir || !dir && !st.Mode().IsRegular():
		c.bad(rel, "§1.1", "is a %v", st.Mode().Type())
		return false
	case st.Mode().Perm() != perm:
		c.bad(rel, "§1.1", "mode %04o, want %04o", st.Mode().Perm(), perm)
	}
	return true
}

// catalog walks B/backups/I/ID (§1.1).
func (c *check) catalog() error {
	entries, err := os.ReadDir(c.root)
	if err != nil {
		return fmt.Errorf("read catalog: %w", err)
	}
	c.mode(".", true, 0o700)
	for _, e := range entries {
		switch e.Name() {
		case "backups", "wal", "log":
			c.mode(e.Name(), true, 0o700)
		default:
			c.bad(e.Name(), "§1.1", "does not belong into a catalog")
		}
	}
	instances, err := os.ReadDir(c.abs("backups"))
	if err != nil {
		return fmt.Errorf("read instances: %w", err)
	}
	for _, e := range instances {
		dir := filepath.Join("backups", e.Name())
		if !c.mode(dir, true, 0o700) {
			continue
		}
		c.mode(filepath.Join("wal", e.Name()), true, 0o700)
		if err := c.instance(dir); err != nil {
			return err
		}
	}
	return nil
}

func (c *check) instance(dir string) error {
	entries, err := os.ReadDir(c.abs(dir))
	if err != nil {
		return fmt.Errorf("read instance: %w", err)
	}
	c.conf(filepath.Join(dir, "pg_probackup.conf"))
	var backups []*backup
	for _, e := range entries {
		rel := filepath.Join(dir, e.Name())
		switch {
		case e.Name() == "pg_probackup.conf":
		case e.IsDir():
			if b := c.backup(rel); b != nil {
				backups = append(backups, b)
			}
		default:
			c.bad(rel, "§1.1", "does not belong into an instance")
		}
	}
	sort.Slice(backups, func(i, j int) bool { return backups[i].id < backups[j].id })
	c.chains(backups)
	return nil
}

// backup checks one backup directory; nil when it has no usable control file.
func (c *check) backup(dir string) *backup {
	c.stats.Backups++
	c.mode(dir, true, 0o700)
	c.mode(filepath.Join(dir, "backup.control"), false, 0o600)
	b := c.control(dir)
	if b == nil {
		return nil
	}
	if !b.finished() {
		text := "backup has status " + b.status + ", its files are not checked"
		if c.opts.OnlyFinished {
			c.note(dir, "§3.4", "%s", text)
		} else {
			c.bad(dir, "§3.4", "%s", text)
		}
		return nil
	}
	c.list(b)
	c.topFiles(b)
	c.files(b)
	c.counters(b)
	c.headerMapTiling(b)
	c.wal(b)
	return b
}

// topFiles checks what lies beside database/ (§1.1).
func (c *check) topFiles(b *backup) {
	entries, err := os.ReadDir(c.abs(b.dir))
	if err != nil {
		c.bad(b.dir, "§1.1", "%v", err)
		return
	}
	hasHeaders := false
	for _, e := range b.entries {
		hasHeaders = hasHeaders || e.nHeaders > 0
	}
	seenMap := false
	for _, e := range entries {
		rel := filepath.Join(b.dir, e.Name())
		switch e.Name() {
		case "backup.control", "backup_content.control":
			c.mode(rel, false, 0o600)
		case "page_header_map":
			seenMap = true
			c.mode(rel, false, 0o600)
			if !hasHeaders {
				c.bad(rel, "§5.2", "exists although no file has page headers")
			}
		case "database":
			c.mode(rel, true, 0o700)
		case "external_directories":
			if len(b.externals) == 0 {
				c.bad(rel, "§1.1", "exists although the backup has no external directories")
			}
			c.mode(rel, true, 0o700)
		case "backup.pid", "dssdata":
			c.foreign(rel, "§1.1", "left behind in a finished backup")
		default:
			c.bad(rel, "§1.1", "does not belong into a backup")
		}
	}
	if hasHeaders && !seenMap {
		c.bad(b.dir, "§5.2", "page_header_map is missing")
	}
}

// place is the directory of an entry's file, relative to the checked directory.
func (b *backup) place(externalDir int) string {
	if externalDir == 0 {
		return filepath.Join(b.dir, "database")
	}
	return filepath.Join(b.dir, "external_directories", fmt.Sprintf("externaldir%d", externalDir))
}

func (b *backup) walDir() string {
	if b.openGauss() {
		return "pg_xlog"
	}
	return "pg_wal"
}

func (b *backup) openGauss() bool { return strings.HasPrefix(b.serverVersion, "9.2") }
