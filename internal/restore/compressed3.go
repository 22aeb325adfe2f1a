package restore

import (
	"context"
	"errors"
	"fmt"

	"gsprobackup/internal/catalog/contentlist"
	"gsprobackup/internal/pgdata"
	"gsprobackup/internal/remote"
	"gsprobackup/internal/usererr"
)

// batch3 is how many blocks of a relation of openGauss 3.0 are loaded at once.
const batch3 = 128

// isCompressed3 tells whether an entry stands for a row-compressed relation of
// openGauss 3.0, which C lists by the name of its empty main file.
func isCompressed3(e *contentlist.Entry) bool {
	return e.Compressed != nil && pgdata.ImageFormatOf(e.Path) == pgdata.ImagesOf3
}

// compressed3 makes a relation of openGauss 3.0: an empty main file, `_pcd` with
// chunks and `_pca` with their addresses beside it, anew if they are there.
func (k *worker) compressed3(ctx context.Context, e *contentlist.Entry) error {
	info, target := e.Compressed, k.target(e)
	if info.ChunkSize <= 0 || info.ChunkSize > 4096 || info.Algorithm < 0 || info.Algorithm > 0x7F {
		return usererr.New("restore file %s: impossible chunk size %d or algorithm %d", target, info.ChunkSize, info.Algorithm)
	}
	if err := k.create(ctx, e, remote.CreateOptions{}, nil); err != nil {
		return err
	}
	pca, err := pgdata.NewPCAWriter(uint16(info.ChunkSize), uint8(info.Algorithm), uint32(e.Segno))
	if err != nil {
		return fmt.Errorf("restore file %s: %w", target, err)
	}
	err = k.beside(ctx, e, "_pcd", func(out remote.FileWriter) error {
		if e.Size == 0 {
			return nil
		}
		f, err := k.planPages(e, target)
		if err != nil {
			return err
		}
		n, err := f.writeChunks(ctx, pca, out)
		k.written.Add(n)
		return errors.Join(err, f.close())
	})
	if err != nil {
		return err
	}
	return k.beside(ctx, e, "_pca", func(out remote.FileWriter) error { return sparse(out, pca.File()) })
}

// beside makes a file that the list does not have by itself.
func (k *worker) beside(ctx context.Context, e *contentlist.Entry, suffix string, write func(remote.FileWriter) error) error {
	target := k.target(e) + suffix
	out, err := k.deps.Host.CreateFile(ctx, target, remote.CreateOptions{Mode: e.Mode & 0o7777})
	if err != nil {
		return fmt.Errorf("restore file: %w", err)
	}
	if err := errors.Join(write(out), out.Close()); err != nil {
		return fmt.Errorf("restore file %s: %w", target, err)
	}
	k.syncer.put(target)
	return nil
}

func (f *pageFile) writeChunks(ctx context.Context, pca *pgdata.PCAWriter, out remote.FileWriter) (written int64, err error) {
	x := &extentBuilder{pageFile: f}
	blocks := f.blockCount()
	for first := uint32(0); first < blocks; first += batch3 {
		if ctx.Err() != nil {
			return written, context.Cause(ctx)
		}
		if err := x.load(first, min(batch3, blocks-first)); err != nil {
			return written, err
		}
		for _, img := range x.images {
			chunks, err := pca.Add(img)
			if err == nil {
				err = out.Data(chunks)
			}
			if err != nil {
				return written, err
			}
			written += int64(len(chunks))
		}
	}
	return written, nil
}
