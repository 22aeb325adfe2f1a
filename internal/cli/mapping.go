package cli

import (
	"context"
	"path"
	"slices"
	"strings"

	"gsprobackup/internal/catalog"
	"gsprobackup/internal/restore"
	"gsprobackup/internal/usererr"
)

// mapping is one OLD=NEW pair of -T or --external-mapping.
type mapping = restore.Mapping

// maxMappingPath is the room the C tool has for one directory of a mapping,
// without the terminating zero.
const maxMappingPath = 1023

// setMapping makes a setter that appends a mapping. kind is the word the
// messages use (spec/cli.md §4.6; some of them end in a line feed).
func setMapping(kind string, list func(*options) *[]mapping) setter {
	return func(o *options, value string) error {
		m, err := parseMapping(kind, value)
		if err != nil {
			return err
		}
		l := list(o)
		*l = append(*l, m)
		return nil
	}
}

// parseMapping splits OLD=NEW at the only equals sign that no backslash
// protects. "\=" stands for an equals sign inside a path; any other backslash
// is an ordinary character.
func parseMapping(kind, value string) (mapping, error) {
	var parts [2]strings.Builder
	n := 0
	for i := 0; i < len(value); i++ {
		c := value[i]
		switch {
		case c == '\\' && i+1 < len(value) && value[i+1] == '=':
			i++
			parts[n].WriteByte('=')
		case c == '=' && n == 1:
			return mapping{}, usererr.New("multiple \"=\" signs in %s mapping\n", kind)
		case c == '=':
			n = 1
		default:
			parts[n].WriteByte(c)
		}
		if parts[n].Len() > maxMappingPath {
			return mapping{}, usererr.New("directory name too long")
		}
	}
	m := mapping{Old: parts[0].String(), New: parts[1].String()}
	switch {
	case m.Old == "" || m.New == "":
		return mapping{}, usererr.New("invalid %s mapping format \"%s\", must be \"OLDDIR=NEWDIR\"", kind, value)
	case m.Old[0] != '/':
		return mapping{}, usererr.New("old directory is not an absolute path in %s mapping: %s\n", kind, m.Old)
	case m.New[0] != '/':
		return mapping{}, usererr.New("new directory is not an absolute path in %s mapping: %s\n", kind, m.New)
	}
	m.Old = path.Clean(m.Old) // as the paths of the catalog it is compared with
	return m, nil
}

// places are mappings whose new directories are clean; they are on the host of
// the data directory.
func places(list []mapping, cfg *catalog.Config) []mapping {
	list = slices.Clone(list)
	for i, m := range list {
		if !remoteWanted(cfg) {
			m.New = physicalPath(m.New)
		}
		list[i].New = path.Clean(m.New)
	}
	return list
}

// maySpareExternals tells whether -T may stand without --external-mapping: in
// a restore of a backup that has its tablespaces' content, as ours do and C's
// do not (spec/cli.md §2 step 4). Nothing was checked yet, and what is wrong
// with catalog, ID or target is not said here.
func (s *session) maySpareExternals(ctx context.Context, rules commandRules, r *request) bool {
	root, ok := s.catalogPath(r)
	if rules.name != "restore" || r.Help || !ok || !strings.HasPrefix(root, "/") {
		return false
	}
	quiet := catalog.Open(s.env.FS, root, catalog.Options{Location: s.env.Location})
	instance, err := quiet.Instance(r.Instance)
	if err != nil {
		return false
	}
	opts := restore.Options{Instance: instance, Tablespaces: r.TablespaceMap, Force: r.Force, NoValidate: r.NoValidate}
	if r.BackupID != "" {
		if opts.BackupID, err = catalog.ParseID(r.BackupID); err != nil {
			return false
		}
	}
	// A target that cannot be read is refused in its turn, and chooses nothing.
	if t, err := s.parseTarget(r.options.Target); err == nil && t.Check() == nil {
		opts.Target = t
	}
	return restore.SavesTablespaces(ctx, restore.Deps{FS: s.env.FS}, opts)
}
