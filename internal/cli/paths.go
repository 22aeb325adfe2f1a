package cli

import (
	"path/filepath"
	"strings"

	"gsprobackup/internal/catalog"
)

// canonicalPath removes double slashes and, at the end, "/", "/." and of an
// absolute path "/..", with what it leads out of. Inner "." and ".." stay, as
// they do in the C tool.
func canonicalPath(path string) string {
	var b strings.Builder
	for i := 0; i < len(path); i++ {
		if path[i] == '/' && i > 0 && path[i-1] == '/' {
			continue
		}
		b.WriteByte(path[i])
	}
	p := b.String()
	up := 0 // how many ".." were cut off
	for p != "/" {
		last := p[strings.LastIndexByte(p, '/')+1:]
		switch {
		case p != last && (last == "" || last == "."):
		case strings.HasPrefix(p, "/") && last == "..":
			up++
		case up > 0:
			up--
		default:
			return p
		}
		if p = strings.TrimSuffix(p, "/"+last); p == "" {
			p = "/"
		}
	}
	return p
}

// physicalPath is path without an inner ".." that follows a link to another
// place: to the system, and so to the C tool, that is the parent of what the
// link leads to, while everything here that joins names would take the parent
// of the link. Any other path stays as it was typed.
func physicalPath(path string) string {
	i := strings.LastIndex(path, "/../")
	if i < 0 {
		return path
	}
	there, err := filepath.EvalSymlinks(path[:i])
	if err != nil {
		return path // whoever opens it will tell
	}
	parent := filepath.Dir(there)
	if same, err := filepath.EvalSymlinks(filepath.Clean(path[:i] + "/..")); err == nil && same == parent {
		return path
	}
	return filepath.Join(parent, path[i+len("/../"):])
}

// externals are the directories of -E for a backup, and their list as it is
// stored: as it was given, unless a path had to be resolved.
func externals(cfg *catalog.Config) (dirs []string, list string) {
	list = externalDirs(cfg)
	if !remoteWanted(cfg) {
		parts := strings.Split(list, ":")
		for i, part := range parts {
			typed := canonicalPath(part)
			if real := physicalPath(typed); real != typed {
				parts[i] = real
			}
		}
		list = strings.Join(parts, ":")
	}
	return catalog.SplitExternals(list), list
}
