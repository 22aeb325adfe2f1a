package backup

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"gsprobackup/internal/catalog/contentlist"
	"gsprobackup/internal/pgdata"
	"gsprobackup/internal/remote"
	"gsprobackup/internal/usererr"
)

// directoryBytes is what a directory counts in the byte sums of a backup
// (spec/formats.md §3.6).
const directoryBytes = 4096

// minimalEntries is the number of entries below which a listing cannot be a
// whole data directory (spec/formats.md §7.6).
const minimalEntries = 100

// listed is one entry of the source: what goes into the content list, and
// what the copy needs. There may be very many, so it holds nothing that can be
// found out again.
type listed struct {
	contentlist.Entry
	// compressed is set for a row-compressed relation.
	compressed *remote.CompressedFile
	size       int64  // bytes at listing time
	modified   int64  // Unix seconds
	firstBlock uint32 // of a data file: number of its first block in the relation
	known      bool   // a data file that the parent backup has
	vanished   bool   // while it was copied
}

// listing is everything that belongs into a backup.
type listing struct {
	items []*listed
	bytes int64    // pgdata-bytes
	links []string // of tablespaces: pg_tblspc/<oid>
	inits *pgdata.InitForks
	slab  []listed
}

// slabSize is the number of entries that are allocated together.
const slabSize = 1024

// add appends an entry. Entries stay where they are: a growing slice of them
// would be copied over and over, and be there twice each time.
func (l *listing) add(it listed) {
	if len(l.slab) == cap(l.slab) {
		l.slab = make([]listed, 0, slabSize)
	}
	l.slab = append(l.slab, it)
	l.items = append(l.items, &l.slab[len(l.slab)-1])
}

// list walks the data directory and the external directories.
func (r *run) list(ctx context.Context) (*listing, error) {
	var l listing
	if err := r.listData(ctx, &l); err != nil {
		return nil, err
	}
	if len(l.items) < minimalEntries {
		return nil, usererr.New("PGDATA is almost empty. Either it was concurrently deleted or gs_probackup do not possess sufficient permissions to list PGDATA content")
	}
	if err := r.dropForeign(ctx, &l); err != nil {
		return nil, err
	}
	if err := r.describeCompressed(ctx, &l); err != nil {
		return nil, err
	}
	for _, it := range l.items {
		if isDir(it.Mode) {
			l.bytes += directoryBytes
		} else {
			l.bytes += it.size
		}
	}
	for i, dir := range r.opts.ExternalDirs {
		if err := r.listExternal(ctx, &l, i+1, dir); err != nil {
			return nil, err
		}
	}
	return &l, nil
}

// listData lists the data directory by the rules of its family. Relations
// that turn out to be unlogged are dropped once all init forks are known.
func (r *run) listData(ctx context.Context, l *listing) error {
	layout := r.layout
	l.inits = pgdata.NewInitForks(layout)
	var w walkState
	err := r.deps.Host.List(ctx, r.listRequest(), func(fi remote.FileInfo) error {
		if w.inSkipped(fi.Path) {
			return nil
		}
		switch fi.Kind {
		case remote.KindDir:
			rule := layout.Dir(fi.Path)
			if rule.Action != pgdata.DirDescend {
				w.skip(fi.Path)
			}
			if rule.Reason == pgdata.SkipHidden {
				r.emit(HiddenSkipped{Path: path.Join(r.opts.PGData, fi.Path)})
			}
			if fi.LinkTarget != "" && path.Dir(fi.Path) == tablespaceDir {
				l.links = append(l.links, fi.Path)
			}
			if rule.Action != pgdata.DirSkip {
				l.add(directoryItem(fi, rule.DBOid))
			}
		case remote.KindFile:
			class := layout.Classify(fi.Path)
			if class.Reason == pgdata.SkipHidden {
				r.emit(HiddenSkipped{Path: path.Join(r.opts.PGData, fi.Path)})
			}
			if class.Kind != pgdata.KindSkip {
				l.inits.Add(fi.Path, class)
				it := fileItem(fi, class)
				it.firstBlock = layout.AbsoluteBlock(class, 0)
				l.add(it)
			}
		default:
			r.emit(SpecialSkipped{Path: fi.Path})
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("list data directory: %w", err)
	}
	l.items = slices.DeleteFunc(l.items, func(it *listed) bool {
		return !isDir(it.Mode) && l.inits.Drops(it.Path, layout.Classify(it.Path))
	})
	return nil
}

func (r *run) listRequest() remote.ListRequest {
	return remote.ListRequest{Root: r.opts.PGData, FollowLinks: true, PruneHidden: true, Prune: []string{"pg_xlog", "pg_stat_tmp", "pg_notify"}}
}

// listExternal lists one external directory: all its files are copied whole,
// hidden names are left out (spec/formats.md §8.5).
func (r *run) listExternal(ctx context.Context, l *listing, n int, root string) error {
	var w walkState
	err := r.deps.Host.List(ctx, remote.ListRequest{Root: root, FollowLinks: true, PruneHidden: true}, func(fi remote.FileInfo) error {
		full := path.Join(root, fi.Path)
		switch {
		case w.inSkipped(fi.Path):
		case strings.HasPrefix(path.Base(fi.Path), "."):
			w.skip(fi.Path)
			r.emit(HiddenSkipped{Path: full})
		case fi.Kind == remote.KindDir:
			it := directoryItem(fi, 0)
			it.ExternalDir = n
			l.add(it)
		case fi.Kind == remote.KindFile:
			it := fileItem(fi, pgdata.FileClass{})
			it.ExternalDir = n
			l.add(it)
		default:
			r.emit(SpecialSkipped{Path: full})
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("list external directory: %w", err)
	}
	return nil
}

func directoryItem(fi remote.FileInfo, dbOid uint32) listed {
	return listed{
		Entry: contentlist.Entry{Path: fi.Path, Mode: fi.Mode, DBOid: dbOid},
		size:  fi.Size,
	}
}

func fileItem(fi remote.FileInfo, class pgdata.FileClass) listed {
	return listed{
		Entry: contentlist.Entry{
			Path:       fi.Path,
			Mode:       fi.Mode,
			IsDatafile: class.Kind == pgdata.KindData || class.Kind == pgdata.KindCompressed,
			DBOid:      class.DBOid,
			Segno:      int(class.Segno),
		},
		size: fi.Size, modified: fi.MTime.Unix(),
	}
}

// walkState remembers the directory whose content is being passed over. A
// walk gives a directory right before its content, so one name is enough.
type walkState struct{ skipped string }

func (w *walkState) skip(dir string) { w.skipped = dir + "/" }

func (w *walkState) inSkipped(p string) bool {
	return w.skipped != "" && strings.HasPrefix(p, w.skipped)
}

func isDir(mode uint32) bool { return mode&0o170000 == 0o040000 }
