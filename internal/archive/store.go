package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/klauspost/compress/gzip"
	"golang.org/x/sys/unix"

	"gsprobackup/internal/crc32c"
	"gsprobackup/internal/fsx"
	"gsprobackup/internal/usererr"
)

// sumAttr holds the CRC-32C of the content as 8 hexadecimal digits.
const sumAttr = "user.gs_probackup.crc32c"

// copyBuffer is how much is copied or compared at a time, in bytes.
const copyBuffer = 256 << 10

// attempts bounds how often the state of the archive may change under us.
const attempts = 10

// errChanged says that somebody else was faster.
var errChanged = errors.New("archive changed meanwhile")

// store archives one file. present tells that the same content was there.
func (p *pusher) store(ctx context.Context, name string) (present bool, err error) {
	src, err := p.FS.Open(filepath.Join(p.WALDir, name))
	if err != nil {
		return false, fmt.Errorf("open WAL file to archive: %w", err)
	}
	defer src.Close() // read only
	k, err := kindOf(name)
	if err != nil {
		return false, err
	}
	size, err := p.checkSource(src, name, k)
	if err != nil {
		return false, err
	}
	err = errChanged
	for try := 0; errors.Is(err, errChanged) && try < attempts; try++ {
		present, err = p.storeOnce(ctx, src, size, name, k)
	}
	if err != nil && !isUserError(err) {
		err = fmt.Errorf("archive WAL file %s: %w", name, err)
	}
	return present, err
}

func isUserError(err error) bool {
	var user *usererr.Error
	return errors.As(err, &user)
}

// storeOnce compares with what is there or writes the file, under the lock of
// its .part file.
func (p *pusher) storeOnce(ctx context.Context, src fsx.File, size int64, name string, k kind) (present bool, err error) {
	dir := p.Instance.WALDir()
	part, err := p.lockPart(filepath.Join(dir, name+partSuffix))
	if err != nil {
		return false, err
	}
	keep := false // the file has another name now
	defer func() {
		if !keep {
			err = errors.Join(err, ignoreMissing(p.FS.Remove(part.Name())))
		}
		err = errors.Join(err, part.Close())
	}()
	have, same, err := p.compare(ctx, src, name)
	switch {
	case err != nil:
		return false, err
	case have != "" && same:
		return true, p.makeDurable(filepath.Join(dir, have))
	case have != "" && !p.Overwrite:
		return false, usererr.New("WAL file already exists in archive with different content: \"%s\"", filepath.Join(dir, have)).
			WithHint("another server may archive to the same place; use --overwrite only if the archived file is worthless")
	}
	final := name
	if k == segment && p.GzipLevel > 0 {
		final += gzSuffix
	}
	if err := p.write(ctx, part, src, size, final != name); err != nil {
		return false, err
	}
	if keep, err = p.publish(part.Name(), filepath.Join(dir, final)); err != nil {
		return false, err
	}
	if have != "" {
		other := name
		if final == name {
			other += gzSuffix
		}
		if err := ignoreMissing(p.FS.Remove(filepath.Join(dir, other))); err != nil {
			return false, err
		}
	}
	if p.NoSync {
		return false, nil
	}
	return false, p.FS.SyncDir(dir)
}

// lockPart creates a .part file and takes its lock. One that is there and not
// locked is left over and goes; it is never written into, for it may be the
// archived file itself, linked just before a crash.
func (p *pusher) lockPart(path string) (fsx.File, error) {
	for range attempts {
		f, err := p.FS.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL|fsx.NoFollow, 0o600)
		if errors.Is(err, fs.ErrExist) {
			if err := p.removeLeftOver(path); err != nil {
				return nil, err
			}
			continue
		}
		if err != nil {
			return nil, err
		}
		// Somebody may have taken it for a left-over before it was locked.
		if err := fsx.Flock(f, unix.LOCK_EX); err == nil && fsx.IsAt(p.FS, path, f) {
			return f, nil
		}
		if err := f.Close(); err != nil {
			return nil, err
		}
	}
	return nil, usererr.New("WAL file \"%s\" is being written by another archive-push", path)
}

func (p *pusher) removeLeftOver(path string) error {
	f, err := p.FS.OpenFile(path, os.O_RDWR|fsx.NoFollow, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close() // nothing is written
	if err := fsx.Flock(f, unix.LOCK_EX); err != nil {
		if errors.Is(err, fsx.ErrFlocked) {
			return usererr.New("WAL file \"%s\" is being written by another archive-push", path)
		}
		return err
	}
	if !fsx.IsAt(p.FS, path, f) {
		return nil
	}
	return ignoreMissing(p.FS.Remove(path))
}

// write fills the .part file and syncs it. The source must not change: the
// server has closed it.
func (p *pusher) write(ctx context.Context, part, src fsx.File, size int64, compressed bool) error {
	if _, err := src.Seek(0, io.SeekStart); err != nil {
		return err
	}
	out := io.Writer(part)
	var zw *gzip.Writer
	if compressed {
		var err error
		if zw, err = gzip.NewWriterLevel(part, p.GzipLevel); err != nil {
			return err
		}
		out = zw
	}
	sum := summing{}
	n, err := io.CopyBuffer(io.MultiWriter(out, &sum), bound{ctx, src}, make([]byte, copyBuffer))
	if err == nil && n != size {
		err = usererr.New("WAL file \"%s\" changed while it was archived: %d bytes read, %d expected", src.Name(), n, size)
	}
	if err == nil && zw != nil {
		err = zw.Close()
	}
	if err != nil {
		return err
	}
	if err := fsx.SetXattr(part, sumAttr, []byte(sum.String())); err != nil && !errors.Is(err, fsx.ErrNoXattr) {
		return err
	}
	if p.NoSync {
		return nil
	}
	return part.Sync()
}

// publish gives the written file its name; renamed tells that it has lost the
// old one by that.
func (p *pusher) publish(part, final string) (renamed bool, err error) {
	if p.Overwrite {
		return true, p.FS.Rename(part, final)
	}
	err = p.FS.Link(part, final)
	switch {
	case errors.Is(err, fs.ErrExist):
		return false, errChanged // by somebody without our lock
	case errors.Is(err, errors.ErrUnsupported), errors.Is(err, unix.EPERM), errors.Is(err, unix.EMLINK):
		// No links here; the lock is all there is.
		return true, p.FS.Rename(part, final)
	}
	return false, err
}

// makeDurable is for a file that an earlier call may have left unsynced when it
// was killed.
func (p *pusher) makeDurable(path string) error {
	if p.NoSync {
		return nil
	}
	f, err := p.FS.Open(path)
	if err != nil {
		return err
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	return p.FS.SyncDir(filepath.Dir(path))
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// summing computes a CRC-32C of what is written to it.
type summing struct{ crc uint32 }

func (s *summing) Write(p []byte) (int, error) {
	s.crc = crc32c.Update(s.crc, p)
	return len(p), nil
}

func (s *summing) String() string { return fmt.Sprintf("%08x", s.crc) }

// bound is a reader that ends with its context.
type bound struct {
	ctx context.Context
	io.Reader
}

func (b bound) Read(p []byte) (int, error) {
	if b.ctx.Err() != nil {
		return 0, context.Cause(b.ctx)
	}
	return b.Reader.Read(p)
}
