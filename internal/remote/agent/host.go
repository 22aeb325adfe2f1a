package agent

import (
	"context"
	"path/filepath"

	"gsprobackup/internal/remote"
)

// This file has the methods of remote.Host that ask one thing.

func (h *host) List(ctx context.Context, req remote.ListRequest, fn func(remote.FileInfo) error) error {
	return h.with(ctx, func(d *conduit) (bool, error) {
		if err := d.ask(ctx, kindList, &listMessage{req}); err != nil {
			return false, err
		}
		var batch entriesMessage
		for {
			f, ended, err := d.hear(ctx)
			if err != nil || ended {
				f.release()
				return ended, err
			}
			if f.kind != kindEntries {
				return false, d.broken(protocolErrorf("listing of kind %d", f.kind))
			}
			err = decode(f.body, &batch, d.peer)
			f.release()
			if err != nil {
				return false, d.broken(err)
			}
			for i := range batch.Infos {
				if fi := batch.Infos[i].FileInfo; !filepath.IsLocal(fi.Path) {
					return false, d.broken(protocolErrorf("path %q in a listing", fi.Path))
				} else if err := fn(fi); err != nil {
					return false, err
				}
			}
		}
	})
}

func (h *host) Stat(ctx context.Context, path string) (remote.FileInfo, error) {
	var a infoMessage
	err := h.call(ctx, kindStat, &pathMessage{path}, &a)
	return a.FileInfo, err
}

func (h *host) ReadFile(ctx context.Context, path string, max int64) (all []byte, err error) {
	err = h.with(ctx, func(d *conduit) (bool, error) {
		if err := d.ask(ctx, kindReadFile, &readFileMessage{Path: path, Max: min(max, maxReadFile)}); err != nil {
			return false, err
		}
		for {
			f, ended, err := d.hear(ctx)
			if err != nil {
				return ended, err
			}
			if f.kind != kindData && f.kind != kindDone || int64(len(all)+len(f.body)) > max {
				return false, d.broken(protocolErrorf("%d bytes of kind %d of a file of %d", len(f.body), f.kind, max))
			}
			all = append(all, f.body...)
			f.release()
			if ended {
				return true, nil
			}
		}
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}

func (h *host) ReadAt(ctx context.Context, path string, off int64, n int) ([]byte, int64, error) {
	var b []byte
	var size int64
	err := h.with(ctx, func(d *conduit) (bool, error) {
		if err := d.ask(ctx, kindReadAt, &readAtMessage{Path: path, Off: off, N: n}); err != nil {
			return false, err
		}
		var a readAtAnswer
		f, ended, err := d.hear(ctx)
		if err != nil {
			return ended, err
		}
		defer f.release()
		if err := decode(f.body, &a, d.peer); err != nil || f.kind != kindDone || len(a.B) > n {
			return false, d.broken(protocolErrorf("%d bytes instead of %d", len(a.B), n))
		}
		b, size = append(b, a.B...), a.Size
		return true, nil
	})
	return b, size, err
}

func (h *host) CompressedInfo(ctx context.Context, path string) (remote.CompressedInfo, error) {
	var a compressedInfoAnswer
	err := h.call(ctx, kindCompressedInfo, &pathMessage{path}, &a)
	return a.CompressedInfo, err
}

func (h *host) Mkdir(ctx context.Context, path string, mode uint32) error {
	return h.call(ctx, kindMkdir, &pathMode{path, mode}, &empty{})
}

func (h *host) MkdirAll(ctx context.Context, path string, mode uint32) error {
	return h.call(ctx, kindMkdirAll, &pathMode{path, mode}, &empty{})
}

func (h *host) Symlink(ctx context.Context, target, path string) error {
	return h.call(ctx, kindSymlink, &twoPaths{target, path}, &empty{})
}

func (h *host) Readlink(ctx context.Context, path string) (string, error) {
	var a pathMessage
	err := h.call(ctx, kindReadlink, &pathMessage{path}, &a)
	return a.Path, err
}

func (h *host) Chmod(ctx context.Context, path string, mode uint32) error {
	return h.call(ctx, kindChmod, &pathMode{path, mode}, &empty{})
}

func (h *host) Rename(ctx context.Context, oldPath, newPath string) error {
	return h.call(ctx, kindRename, &twoPaths{oldPath, newPath}, &empty{})
}

func (h *host) Remove(ctx context.Context, path string) error {
	return h.call(ctx, kindRemove, &pathMessage{path}, &empty{})
}

// removeBatch bounds the paths of one request.
const removeBatch = 256

func (h *host) RemoveAll(ctx context.Context, paths []string) error {
	for len(paths) > 0 {
		n := min(len(paths), removeBatch)
		if err := h.call(ctx, kindRemoveAll, &pathsMessage{paths[:n]}, &empty{}); err != nil {
			return err
		}
		paths = paths[n:]
	}
	return nil
}

func (h *host) SyncFile(ctx context.Context, path string) error {
	return h.call(ctx, kindSyncFile, &pathMessage{path}, &empty{})
}

func (h *host) SyncDir(ctx context.Context, path string) error {
	return h.call(ctx, kindSyncDir, &pathMessage{path}, &empty{})
}

func (h *host) Volume(ctx context.Context, path string) (remote.Volume, error) {
	var a volumeAnswer
	err := h.call(ctx, kindVolume, &pathMessage{path}, &a)
	return a.Volume, err
}

func (h *host) Alive(ctx context.Context, pid int) (bool, error) {
	var a boolMessage
	err := h.call(ctx, kindAlive, &int64Message{int64(pid)}, &a)
	return a.Yes, err
}
