package checker

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"sort"
	"strings"
	"sync"
)

// Target says where a chain was restored to.
type Target struct {
	Dir string // the data directory
	// Root is what all absolute names of the target are below on this
	// machine: a file named N is found as Root+N. Empty for none.
	Root string
	// Tablespaces and Externals are the mappings given, old to new.
	Tablespaces, Externals map[string]string
	SkipExternals          bool
}

// Difference is a departure of a restored tree from what the C tool's restore
// writes. What is one of missing, extra, kind, mode, link, size, content.
type Difference struct {
	Path string // as on the target, without Root
	What string
	Want string
	Got  string
}

func (d Difference) String() string {
	return fmt.Sprintf("%s: %s: want %s, got %s", d.Path, d.What, d.Want, d.Got)
}

// TreeStats counts what was compared.
type TreeStats struct {
	Files, Dirs, Links int
	Bytes              int64
}

// CompareTree rebuilds what the C tool makes of a chain of backup directories,
// FULL first, by formats.md §5.7, §7.8 and §8, and compares it with what is
// there. An error says that the chain itself cannot be read.
func CompareTree(chain []string, t Target) ([]Difference, TreeStats, error) {
	tr := &tree{target: t, want: map[string]*node{}}
	for _, dir := range chain {
		m, err := openMember(dir)
		if err != nil {
			return nil, tr.stats, err
		}
		tr.members = append([]*member{m}, tr.members...)
	}
	if err := tr.plan(); err != nil {
		return nil, tr.stats, err
	}
	files := tr.walk()
	if err := tr.contents(files); err != nil {
		return nil, tr.stats, err
	}
	sort.Slice(tr.found, func(i, j int) bool { return tr.found[i].Path < tr.found[j].Path })
	return tr.found, tr.stats, nil
}

// tree is one comparison; members are newest first.
type tree struct {
	target  Target
	members []*member
	want    map[string]*node // by path on the target
	roots   []string         // directories to walk
	mu      sync.Mutex
	found   []Difference
	stats   TreeStats
}

// node is one thing that must be there.
type node struct {
	kind  fs.FileMode // 0, fs.ModeDir or fs.ModeSymlink
	perm  fs.FileMode
	link  string
	entry *entry
	seen  bool
}

type member struct {
	*backup
	abs   string
	index map[string]*entry
}

func openMember(dir string) (*member, error) {
	c := &check{root: filepath.Dir(dir), opts: Options{Foreign: true}}
	b := c.control(filepath.Base(dir))
	if b != nil {
		c.list(b)
	}
	if bad := Errors(c.problems); len(bad) > 0 || b == nil {
		return nil, fmt.Errorf("read backup %s: %v", dir, bad)
	}
	m := &member{backup: b, abs: c.root, index: map[string]*entry{}}
	for _, e := range b.entries {
		m.index[e.key()] = e
	}
	return m, nil
}

func (m *member) stored(e *entry) string {
	return filepath.Join(m.abs, m.place(e.external), e.path)
}

func (t *tree) differ(path, what string, want, got any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.found = append(t.found, Difference{path, what, fmt.Sprint(want), fmt.Sprint(got)})
}

// plan fills want from the list of the backup to restore.
func (t *tree) plan() error {
	dest := t.members[0]
	spaces, err := t.tablespaces(dest)
	if err != nil {
		return err
	}
	t.addRoot(t.target.Dir)
	var externals []string
	for _, d := range dest.externals {
		externals = append(externals, mapPath(t.target.Externals, d))
	}
	if !t.target.SkipExternals {
		for _, d := range externals {
			t.addRoot(d)
		}
	}
	for _, e := range dest.entries {
		base := t.target.Dir
		if e.external > 0 {
			if t.target.SkipExternals {
				continue
			}
			base = externals[e.external-1]
		}
		full := path.Join(base, e.path)
		n := &node{perm: fs.FileMode(e.mode).Perm(), entry: e}
		switch spc, isSpace := spaces[e.path]; {
		case e.external == 0 && (e.path == "tablespace_map" || e.path == "database_map"):
			continue
		case e.external == 0 && isSpace && e.dir():
			n = &node{kind: fs.ModeSymlink, link: spc}
			if !strings.HasPrefix(spc, t.target.Dir+"/") {
				t.addRoot(spc)
			}
		case e.dir():
			n.kind = fs.ModeDir
		case e.compressed && e.size != 0:
			n.perm = 0o644 // made anew, the umask alone decides (§7.8)
		}
		t.want[full] = n
	}
	return nil
}

func (t *tree) addRoot(dir string) {
	t.want[dir] = &node{kind: fs.ModeDir, perm: 0o700}
	t.roots = append(t.roots, dir)
}

func mapPath(m map[string]string, old string) string {
	if to, ok := m[old]; ok {
		return to
	}
	return old
}

// tablespaces gives the link target for each listed path of pg_tblspc (§8.2).
func (t *tree) tablespaces(dest *member) (map[string]string, error) {
	text, err := os.ReadFile(filepath.Join(dest.abs, dest.place(0), "tablespace_map"))
	if os.IsNotExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read tablespace map: %w", err)
	}
	spaces := map[string]string{}
	for _, line := range strings.Split(strings.TrimSuffix(string(text), "\n"), "\n") {
		oid, dir, ok := strings.Cut(line, " ")
		if !ok {
			return nil, fmt.Errorf("read tablespace map: line %q", line)
		}
		spaces["pg_tblspc/"+oid] = mapPath(t.target.Tablespaces, dir)
	}
	return spaces, nil
}

// walk compares names, kinds, modes and links and returns the files whose
// content is left to compare.
func (t *tree) walk() []string {
	var files []string
	for _, root := range t.roots {
		err := filepath.WalkDir(t.target.Root+root, func(name string, d fs.DirEntry, err error) error {
			p := strings.TrimPrefix(name, t.target.Root)
			if err != nil {
				if !os.IsNotExist(err) { // what is missing is told below
					t.differ(p, "kind", "readable", err)
				}
				return nil
			}
			if t.compareNode(p, d) {
				files = append(files, p)
			}
			return nil
		})
		if err != nil {
			t.differ(root, "kind", "readable", err)
		}
	}
	for p, n := range t.want {
		if !n.seen {
			t.differ(p, "missing", n.describe(), "nothing")
		}
	}
	return files
}

func (n *node) describe() string {
	if n.kind == fs.ModeSymlink {
		return "link to " + n.link
	}
	return fmt.Sprintf("%v %04o", n.kind, n.perm)
}

// compareNode reports whether p is a file on both sides.
func (t *tree) compareNode(p string, d fs.DirEntry) bool {
	n := t.want[p]
	if n == nil {
		t.differ(p, "extra", "nothing", d.Type())
		return false
	}
	n.seen = true
	if d.Type() != n.kind {
		t.differ(p, "kind", n.kind, d.Type())
		return false
	}
	fi, err := d.Info()
	if err != nil {
		t.differ(p, "kind", "readable", err)
		return false
	}
	switch n.kind {
	case fs.ModeSymlink:
		t.stats.Links++
		if got, err := os.Readlink(t.target.Root + p); err != nil || got != n.link {
			t.differ(p, "link", n.link, got)
		}
		return false
	case fs.ModeDir:
		t.stats.Dirs++
	default:
		t.stats.Files++
	}
	if fi.Mode().Perm() != n.perm {
		t.differ(p, "mode", fmt.Sprintf("%04o", n.perm), fmt.Sprintf("%04o", fi.Mode().Perm()))
	}
	return n.kind == 0
}

// contents compares the files on all processors.
func (t *tree) contents(files []string) error {
	jobs := make(chan string)
	errs := make(chan error, len(files))
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for p := range jobs {
				if err := t.compareFile(p, t.want[p].entry); err != nil {
					errs <- fmt.Errorf("compare %s: %w", p, err)
				}
			}
		})
	}
	for _, p := range files {
		jobs <- p
	}
	close(jobs)
	wg.Wait()
	close(errs)
	return <-errs
}
