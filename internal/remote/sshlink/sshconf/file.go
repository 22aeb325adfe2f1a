package sshconf

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"syscall"

	"gsprobackup/internal/fsx"
)

const (
	maxDepth = 16      // of Include, as OpenSSH
	maxSize  = 4 << 20 // bytes of one file
)

// File is a configuration file to read.
type File struct {
	Path string
	// Base is where relative names of Include are looked for.
	Base string
	Home string // for ~
	// MustExist makes a missing file an error.
	MustExist bool
	// Guarded files must belong to root or this user and be writable by
	// nobody else.
	Guarded bool
}

// Read adds what a file says about the host.
func (c *Config) Read(fsys fsx.FS, f File) error {
	r := reader{config: c, fs: fsys, base: f.Base, home: f.Home}
	err := r.file(f.Path, f.Guarded, true, 0)
	if errors.Is(err, fs.ErrNotExist) && !f.MustExist {
		return nil
	}
	return err
}

type reader struct {
	config     *Config
	fs         fsx.FS
	base, home string
}

// file reads one file. Nothing in it counts unless enabled.
func (r *reader) file(path string, guarded, enabled bool, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("read %s: too many nested Include", path)
	}
	if guarded {
		fi, err := r.fs.Stat(path)
		if err != nil {
			return err
		}
		if !safe(fi) {
			return fmt.Errorf("bad owner or permissions on %s", path)
		}
	}
	text, err := fsx.ReadFile(r.fs, path, maxSize)
	if err != nil {
		return err
	}
	active := enabled
	for i, line := range strings.Split(string(text), "\n") {
		keyword, args, err := splitLine(line)
		where := fmt.Sprintf("%s line %d", path, i+1)
		if err != nil {
			return fmt.Errorf("%s: %w", where, err)
		}
		switch keyword {
		case "":
		case "host":
			active = enabled && MatchList(r.config.host, args)
		case "match":
			active = enabled && r.config.match(args, where)
		case "include":
			for _, pattern := range args {
				if err := r.include(pattern, guarded, active, depth); err != nil {
					return err
				}
			}
		default:
			if active {
				r.config.Set(keyword, args, where)
			}
		}
	}
	return nil
}

func (r *reader) include(pattern string, guarded, active bool, depth int) error {
	if rest, ok := strings.CutPrefix(pattern, "~/"); ok {
		pattern = filepath.Join(r.home, rest)
	} else if !filepath.IsAbs(pattern) {
		pattern = filepath.Join(r.base, pattern)
	}
	for _, path := range glob(r.fs, pattern) {
		// Not readable or gone is no error, as in OpenSSH.
		err := r.file(path, guarded, active, depth+1)
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission) {
			return err
		}
	}
	return nil
}

// match evaluates the criteria of a Match line, which must all hold. One that
// this package does not know is noted, unless another has failed before it.
func (c *Config) match(criteria []string, where string) bool {
	for i := 0; i < len(criteria); i++ {
		name, negated := strings.CutPrefix(criteria[i], "!")
		name, value, joined := strings.Cut(strings.ToLower(name), "=")
		if joined {
			_, value, _ = strings.Cut(criteria[i], "=") // case kept
		}
		if name == "all" {
			if negated {
				return false
			}
			continue
		}
		if !joined && i+1 < len(criteria) {
			i++
			value = criteria[i]
		}
		var text string
		switch name {
		case "host":
			text = c.hostName()
		case "originalhost":
			text = c.host
		case "user":
			text = c.user()
		case "localuser":
			text = c.localUser
		default:
			c.Unclear = append(c.Unclear, fmt.Sprintf("Match %s in %s", name, where))
			return false
		}
		if MatchList(text, strings.Split(value, ",")) == negated {
			return false
		}
	}
	return len(criteria) > 0
}

func safe(fi fs.FileInfo) bool {
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok {
		return true
	}
	return (st.Uid == 0 || int(st.Uid) == syscall.Getuid()) && fi.Mode().Perm()&0o022 == 0
}

// glob lists, sorted, the existing paths of a pattern.
func glob(fsys fsx.FS, pattern string) []string {
	dir, name := filepath.Split(filepath.Clean(pattern))
	if !strings.ContainsAny(pattern, `*?[\`) {
		return []string{pattern}
	}
	dirs := []string{dir}
	if strings.ContainsAny(dir, `*?[\`) {
		dirs = glob(fsys, filepath.Clean(dir))
	}
	var found []string
	for _, d := range dirs {
		entries, err := fsys.ReadDir(d)
		if err != nil {
			continue
		}
		for _, e := range entries {
			if hidden := strings.HasPrefix(e.Name(), ".") && !strings.HasPrefix(name, "."); hidden {
				continue
			}
			if ok, err := filepath.Match(name, e.Name()); err == nil && ok {
				found = append(found, filepath.Join(d, e.Name()))
			}
		}
	}
	return found
}
