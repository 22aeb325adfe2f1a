package archive

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"gsprobackup/internal/catalog"
	"gsprobackup/internal/event"
	"gsprobackup/internal/fsx"
)

// Deps are the things archiving works with.
type Deps struct {
	FS   fsx.FS // the catalog's and the server's
	Sink event.Sink
}

// PushOptions say what to archive.
type PushOptions struct {
	Instance *catalog.Instance
	// SystemID is the cluster's; WAL of others is refused. 0: any.
	SystemID uint64
	// WALDir is the server's directory of segments, Name the file in it.
	WALDir, Name string
	// Batch is how many files one call may archive: Name and others that
	// the server has marked as ready. Below 2: Name only.
	Batch   int
	Threads int
	// GzipLevel compresses segments with 1 to 9; 0 leaves them as they are.
	GzipLevel int
	Overwrite bool
	NoSync    bool
	// NoReadyRename leaves the marks of further files to the server, which
	// then asks for each of them and finds it archived.
	NoReadyRename bool
}

// Push archives a file and, in a batch, others that are ready. It returns nil
// if Name is in the archive, durably unless NoSync is set, whatever became of
// the others.
func Push(ctx context.Context, deps Deps, o PushOptions) error {
	if deps.Sink == nil {
		deps.Sink = event.Discard
	}
	if _, err := kindOf(o.Name); err != nil {
		return err
	}
	p := &pusher{Deps: deps, PushOptions: o}
	names := []string{o.Name}
	if o.Batch > 1 {
		more, err := p.ready(o.Batch - 1)
		if err != nil {
			return err
		}
		names = append(names, more...)
	}
	g := errgroup.Group{}
	g.SetLimit(max(o.Threads, 1))
	var first error
	for i, name := range names {
		g.Go(func() error {
			err := p.push(ctx, name)
			switch {
			case i == 0:
				first = err
			case err != nil:
				p.Sink.Emit(PushFailed{Name: name, Err: err})
			case !o.NoReadyRename:
				p.markDone(name)
			}
			return nil
		})
	}
	return errors.Join(g.Wait(), first)
}

type pusher struct {
	Deps
	PushOptions
}

func (p *pusher) push(ctx context.Context, name string) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	present, err := p.store(ctx, name)
	if err != nil {
		return err
	}
	p.Sink.Emit(Pushed{Name: name, Present: present})
	return nil
}

const (
	statusDir   = "archive_status"
	readySuffix = ".ready"
	doneSuffix  = ".done"
)

// ready lists up to n files other than Name that the server waits to have
// archived, history files first, as the server itself does.
func (p *pusher) ready(n int) ([]string, error) {
	entries, err := p.FS.ReadDir(filepath.Join(p.WALDir, statusDir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // not a server's directory: a copy, or a test
	}
	if err != nil {
		return nil, fmt.Errorf("list files ready to be archived: %w", err)
	}
	var names []string
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), readySuffix)
		if !ok || name == p.Name {
			continue
		}
		if _, err := kindOf(name); err == nil {
			names = append(names, name)
		}
	}
	slices.SortStableFunc(names, func(a, b string) int {
		ka, _ := kindOf(a)
		kb, _ := kindOf(b)
		if (ka == history) != (kb == history) {
			if ka == history {
				return -1
			}
			return 1
		}
		return strings.Compare(a, b)
	})
	return names[:min(n, len(names))], nil
}

// markDone tells the server that a further file is archived. If that fails the
// server asks for the file again, which is harmless.
func (p *pusher) markDone(name string) {
	mark := filepath.Join(p.WALDir, statusDir, name)
	if err := p.FS.Rename(mark+readySuffix, mark+doneSuffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
		p.Sink.Emit(PushFailed{Name: name, Err: fmt.Errorf("mark as archived: %w", err)})
	}
}
