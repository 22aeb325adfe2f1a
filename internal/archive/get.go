package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"gsprobackup/internal/catalog"
	"gsprobackup/internal/event"
	"gsprobackup/internal/fsx"
	"gsprobackup/internal/usererr"
	"gsprobackup/internal/wal"
)

// ErrNotArchived says that the archive does not have a file: for the server
// the ordinary end of recovery, not a failure.
var ErrNotArchived = errors.New("not in the archive")

// GetOptions say what the server wants.
type GetOptions struct {
	Instance *catalog.Instance
	// Name is the file; Target the absolute path to put it at.
	Name, Target string
	// Batch is how many segments one call fetches: Name and those behind it,
	// which wait in PrefetchDir. Below 2: Name only.
	Batch       int
	Threads     int
	PrefetchDir string // "": pbk_prefetch beside Target
	// NoValidate leaves out the reading of all records.
	NoValidate bool
	// Until is where recovery ends, if that is known. The server reads
	// further than it replays, and must not stop at what is damaged behind.
	Until wal.Mark
}

// Get puts an archived file where the server wants it, whole and checked, or
// not at all. ErrNotArchived is the error for one that is not there; any other
// error must stop the server's recovery, for it would take it for the end of
// the log.
func Get(ctx context.Context, deps Deps, o GetOptions) error {
	if deps.Sink == nil {
		deps.Sink = event.Discard
	}
	k, err := kindOf(o.Name)
	if err != nil {
		return err
	}
	g := &getter{Deps: deps, GetOptions: o}
	if _, err := g.FS.Stat(o.Instance.WALDir()); err != nil {
		// A catalog that is not mounted must not look like an empty archive.
		return usererr.Wrap(err, "WAL archive directory is not accessible: \"%s\": %s", o.Instance.WALDir(), usererr.SystemText(err))
	}
	if k == segment && o.Batch > 1 {
		err = g.throughPrefetch(ctx)
	} else {
		err = g.fetch(ctx, o.Name, o.Target, true)
	}
	var damage *damagedError
	if errors.As(err, &damage) && k == segment && o.Until.Passed(o.Name) {
		g.Sink.Emit(DamagedBehind{Err: err})
		return ErrNotArchived
	}
	if err == nil {
		g.Sink.Emit(Fetched{Name: o.Name})
	}
	return err
}

type getter struct {
	Deps
	GetOptions
}

// forms are the names under which a file may be stored, as the C tool looks for
// them (spec/formats.md §10.5). incomplete allows the end of a timeline that
// never filled its last segment.
func forms(name string, incomplete bool) []string {
	list := []string{name, name + gzSuffix}
	if incomplete && wal.IsSegmentName(name) {
		list = append(list, name+wal.PartialSuffix, name+wal.PartialSuffix+gzSuffix)
	}
	return list
}

// fetch copies an archived file to target.
func (g *getter) fetch(ctx context.Context, name, target string, incomplete bool) error {
	for _, form := range forms(name, incomplete) {
		path := filepath.Join(g.Instance.WALDir(), form)
		s, err := openStored(g.FS, path, filepath.Ext(form) == gzSuffix)
		if errors.Is(err, fs.ErrNotExist) {
			// A dead link is not the end of the log. A file that has
			// come this moment may be: the server asks again.
			if fi, lerr := g.FS.Lstat(path); lerr == nil && fi.Mode()&fs.ModeSymlink != 0 {
				return usererr.Wrap(err, "Archived WAL file \"%s\" is a link that leads nowhere", path)
			}
			continue
		}
		if err != nil {
			return fmt.Errorf("open archived WAL file: %w", err)
		}
		return g.copyOut(ctx, s, path, name, target)
	}
	return ErrNotArchived
}

// copyOut writes the content beside the target, checks it and gives it its
// name. It is not synced: after a crash the server asks again.
func (g *getter) copyOut(ctx context.Context, s *stored, path, name, target string) (err error) {
	defer func() { err = errors.Join(err, s.Close()) }()
	tmp := target + partSuffix
	out, err := g.FS.OpenFile(tmp, os.O_RDWR|os.O_CREATE|os.O_TRUNC|fsx.NoFollow, 0o600)
	if err != nil {
		return fmt.Errorf("create WAL file for the server: %w", err)
	}
	sum := summing{}
	size, err := io.CopyBuffer(io.MultiWriter(out, &sum), bound{ctx, s}, make([]byte, copyBuffer))
	if err == nil && s.sum != "" && s.sum != sum.String() && !g.endsIn(name) {
		err = fmt.Errorf("its checksum is %s, it was archived with %s", sum.String(), s.sum)
	}
	if cerr := out.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = g.check(ctx, tmp, path, name, size)
	}
	if err == nil {
		err = g.FS.Rename(tmp, target)
	}
	if err != nil {
		err = errors.Join(damagedFile(path, err), ignoreMissing(g.FS.Remove(tmp)))
	}
	return err
}

// endsIn tells whether recovery ends in a segment, whose rest does not matter.
func (g *getter) endsIn(name string) bool {
	return wal.IsSegmentName(name) && g.Until.Within(name) != 0
}

// damagedError marks that an archived file is damaged.
type damagedError struct{ error }

func (e *damagedError) Unwrap() error { return e.error }

// damagedFile names the archived file in an error about it.
func damagedFile(path string, err error) error {
	var system *fs.PathError
	var link *os.LinkError
	if errors.As(err, &system) || errors.As(err, &link) || errors.Is(err, context.Canceled) || isUserError(err) {
		return err
	}
	return usererr.Wrap(&damagedError{err}, "Archived WAL file \"%s\" is damaged: %v", path, err).
		WithHint("recovery cannot go past this file; mend or replace it, or choose a target before it")
}

// check looks at what was copied: a segment must be whole and of its place, and
// all its records good.
func (g *getter) check(ctx context.Context, tmp, path, name string, size int64) error {
	if !wal.IsSegmentName(name) {
		return nil
	}
	f, err := g.FS.Open(tmp)
	if err != nil {
		return err
	}
	h, err := firstHeader(f)
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := headerFits(h, name, size); err != nil {
		return err
	}
	if g.NoValidate {
		return nil
	}
	follows, err := g.follows(name, h.SegSize)
	if err != nil {
		return err
	}
	complete := filepath.Base(path) == name || filepath.Base(path) == name+gzSuffix
	return checkSegment(ctx, g.FS, tmp, name, follows && complete, g.Until.Within(name))
}

// follows tells whether the archive has the next segment of the timeline.
func (g *getter) follows(name string, segSize uint32) (bool, error) {
	tli, segno, err := wal.ParseSegmentName(name, segSize)
	if err != nil {
		return false, err
	}
	for _, form := range forms(wal.SegmentName(tli, segno+1, segSize), false) {
		if _, err := g.FS.Stat(filepath.Join(g.Instance.WALDir(), form)); err == nil {
			return true, nil
		} else if !errors.Is(err, fs.ErrNotExist) {
			return false, err
		}
	}
	return false, nil
}
