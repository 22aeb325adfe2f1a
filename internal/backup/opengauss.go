package backup

import (
	"context"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gsprobackup/internal/catalog/contentlist"
	"gsprobackup/internal/pagecopy"
	"gsprobackup/internal/pgdata"
	"gsprobackup/internal/remote"
)

// What is special about the files of an openGauss data directory.

// describeCompressed asks the host for the logical size and the parameters of
// every row-compressed relation in the list. Such a file counts with its
// logical size everywhere (spec/formats.md §3.6, §4.2).
func (r *run) describeCompressed(ctx context.Context, l *listing) error {
	if r.layout.Family != pgdata.OpenGauss {
		return nil
	}
	for i := range l.items {
		it := l.items[i]
		if !it.IsDatafile {
			continue
		}
		class := r.layout.Classify(it.Path)
		if class.Kind != pgdata.KindCompressed {
			continue
		}
		info, err := r.deps.Host.CompressedInfo(ctx, path.Join(r.opts.PGData, it.Path))
		if errors.Is(err, remote.ErrVanished) {
			it.vanished = true
			continue
		}
		if err != nil {
			return fmt.Errorf("list data directory: %w", err)
		}
		it.size = int64(info.Blocks) * pgdata.BlockSize
		it.Compressed = &contentlist.CompressedInfo{ChunkSize: int(info.ChunkSize), Algorithm: int(info.Algorithm)}
		if info.Layout != pgdata.Extents129 {
			it.Compressed.ExtentPages = info.Layout.Pages()
		}
		it.compressed = &remote.CompressedFile{
			Layout: info.Layout, Rel: class.Rel, Segno: class.Segno,
			MoveDir: path.Join(r.opts.PGData, pgdata.ExtentMovesDir),
		}
	}
	if err := r.describePairs(ctx, l); err != nil {
		return err
	}
	if err := r.findMixed(ctx, l); err != nil {
		return err
	}
	l.items = slices.DeleteFunc(l.items, func(it *listed) bool { return it.vanished })
	return nil
}

// describePairs makes one entry of the three files of a row-compressed relation
// of openGauss 3.0, as C does: pages under the name of the main file, which is
// empty. Where the addresses have no header yet, all three are plain files.
func (r *run) describePairs(ctx context.Context, l *listing) error {
	mains := map[string]bool{} // path -> its addresses are pages of the entry
	for _, it := range l.items {
		if main, ok := strings.CutSuffix(it.Path, remote.AddressSuffix); ok && r.layout.Classify(it.Path).Form == pgdata.FormPCA {
			mains[main] = false
		}
	}
	if len(mains) == 0 {
		return nil
	}
	for _, it := range l.items {
		if _, ok := mains[it.Path]; !ok || !it.IsDatafile || it.ExternalDir != 0 {
			continue
		}
		info, err := r.deps.Host.CompressedInfo(ctx, path.Join(r.opts.PGData, it.Path)+remote.AddressSuffix)
		switch {
		case errors.Is(err, remote.ErrVanished):
			it.vanished = true
		case err != nil:
			return fmt.Errorf("list data directory: %w", err)
		case info.ChunkSize == 0:
			continue
		}
		class := r.layout.Classify(it.Path)
		it.size = int64(info.Blocks) * pgdata.BlockSize
		it.Compressed = &contentlist.CompressedInfo{ChunkSize: int(info.ChunkSize), Algorithm: int(info.Algorithm)}
		it.compressed = &remote.CompressedFile{Layout: info.Layout, Rel: class.Rel, Segno: class.Segno}
		mains[it.Path] = true
	}
	l.items = slices.DeleteFunc(l.items, func(it *listed) bool {
		switch r.layout.Classify(it.Path).Form {
		case pgdata.FormPCA, pgdata.FormPCD:
			return mains[it.Path[:len(it.Path)-len(remote.AddressSuffix)]]
		}
		return false
	})
	return nil
}

// findMixed finds the segment-page files of openGauss 7.0 that hold compressed
// extents. Their chunks are no pages that could be checked, and a changed block
// changes any of them, so such a file is copied whole. Looking takes one read
// for each MiB, so servers that cannot have any are spared it.
func (r *run) findMixed(ctx context.Context, l *listing) error {
	if r.flavor == nil || !mayCompressSegments(r.flavor.Version()) {
		return nil
	}
	for _, it := range l.items {
		if !it.IsDatafile || it.ExternalDir != 0 {
			continue
		}
		if class := r.layout.Classify(it.Path); class.Form != pgdata.FormSegmentStorage || class.Rel < firstMixed {
			continue
		}
		info, err := r.deps.Host.CompressedInfo(ctx, path.Join(r.opts.PGData, it.Path))
		switch {
		case errors.Is(err, remote.ErrVanished):
			it.vanished = true
		case err != nil:
			return fmt.Errorf("list data directory: %w", err)
		case info.Blocks > 0:
			it.IsDatafile, it.Segno = false, 0
		}
	}
	return nil
}

var releaseRE = regexp.MustCompile(`openGauss(?:-lite)? (\d+)\.`)

// mayCompressSegments tells by the text of version() whether a server may have
// compressed segment-page storage. Products built on openGauss may.
func mayCompressSegments(version string) bool {
	m := releaseRE.FindStringSubmatch(version)
	if m == nil {
		return true
	}
	major, err := strconv.Atoi(m[1])
	return err != nil || major >= 7
}

// firstMixed is the first segment-page file that may hold compressed extents.
const firstMixed = 3

// plainKind is how a file is copied that is no data file.
func (r *run) plainKind(it *listed) pagecopy.Kind {
	switch {
	case it.ExternalDir != 0:
	case it.Path == pgdata.ControlPath:
		return pagecopy.Control
	case r.isDoubleWrite(it):
		return pagecopy.DoubleWrite
	}
	return pagecopy.Plain
}

// units tells what a file that is copied whole is written in, where a torn read
// would stay in the backup. The server's own base backup looks at the same files
// (is_row_data_file and SendUndoMeta of basebackup.cpp).
func (r *run) units(it *listed) (remote.Units, uint32) {
	if r.layout.Family != pgdata.OpenGauss || it.ExternalDir != 0 {
		return remote.NoUnits, 0
	}
	if it.Path == pgdata.UndoMetaPath {
		return remote.SumUnits, 0
	}
	if first, ok := pgdata.UndoFirstBlock(it.Path); ok {
		return remote.PageUnits, first
	}
	class := r.layout.Classify(it.Path)
	mixed := class.Form == pgdata.FormSegmentStorage && class.Fork == pgdata.ForkMain
	if mixed || class.Fork == pgdata.ForkFSM || class.Fork == pgdata.ForkVM {
		return remote.PageUnits, r.layout.AbsoluteBlock(class, 0)
	}
	return remote.NoUnits, 0
}

// isDoubleWrite finds the files whose content nobody needs. Unlike others they
// are stored the same each time, so their modification time means nothing.
func (r *run) isDoubleWrite(it *listed) bool {
	return it.ExternalDir == 0 && path.Dir(it.Path) == "global" && r.layout.Classify(it.Path).Form == pgdata.FormDoubleWrite
}
