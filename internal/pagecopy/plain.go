package pagecopy

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"gsprobackup/internal/compress"
	"gsprobackup/internal/crc32c"
	"gsprobackup/internal/fsx"
	"gsprobackup/internal/pgdata"
	"gsprobackup/internal/remote"
)

// create opens the stored file of a task.
func (e *engine) create(t *Task) (fsx.File, error) {
	perm := fs.FileMode(t.Mode & 0o777)
	f, err := e.Out.OpenFile(t.dest(), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, perm)
	if err != nil {
		return nil, err
	}
	if perm&0o077 != 0 { // the umask may have taken bits away
		if err := f.Chmod(perm); err != nil {
			return nil, errors.Join(err, f.Close())
		}
	}
	return f, nil
}

// write puts p at off and has the kernel bring it to the disk.
func (e *engine) write(f fsx.File, p []byte, off int64) error {
	if _, err := f.WriteAt(p, off); err != nil {
		return err
	}
	if !e.NoSync {
		fsx.WriteBehind(f, off, int64(len(p)))
	}
	return nil
}

func (t *Task) copyRequest() remote.CopyRequest {
	return remote.CopyRequest{Path: t.source(), Units: t.Units, FirstBlock: t.FirstBlock}
}

// copyPlain copies a file byte by byte, or finds that its content is known.
// The extra read of a file that has changed is the price; only files that look
// untouched are known.
func (w *worker) copyPlain(t *Task) error {
	if t.Known {
		same, err := w.unchanged(t)
		if err != nil {
			return err
		}
		if same {
			return w.report(t, Result{Outcome: Unchanged, CRC: t.KnownCRC, Alg: compress.None})
		}
	}
	sink := plainSink{worker: w, task: t}
	_, err := w.reader.CopyFile(w.ctx, t.copyRequest(), &sink)
	if errors.Is(err, remote.ErrVanished) {
		return w.report(t, Result{Outcome: Vanished, Alg: compress.None})
	}
	return w.finishPlain(&sink, err)
}

// finishPlain gives a copied file its length and sends it to the disk. err is
// what went wrong while it was copied.
func (w *worker) finishPlain(sink *plainSink, err error) error {
	t := sink.task
	if err == nil && sink.off > sink.written {
		err = sink.out.Truncate(sink.off)
	}
	if err != nil {
		if sink.out != nil {
			err = errors.Join(err, sink.out.Close())
		}
		return err
	}
	res := Result{Size: sink.off, CRC: sink.crc, Copied: sink.off, Alg: compress.None, Truncated: sink.off < t.Size}
	if sink.out == nil {
		return w.report(t, res)
	}
	return w.sync.put(sink.out, t, res)
}

// unchanged compares a file with its known content. An empty file is none: it
// costs nothing to list it as it is. A vanished one is left to the copy.
func (w *worker) unchanged(t *Task) (bool, error) {
	crc, size, err := w.reader.Checksum(w.ctx, t.source())
	if errors.Is(err, remote.ErrVanished) {
		return false, nil
	}
	return size > 0 && crc == t.KnownCRC, err
}

// plainSink stores a file as it comes. The stored file is made with its first
// byte: an empty file has none (spec/formats.md §5.6).
type plainSink struct {
	*worker
	task    *Task
	out     fsx.File
	off     int64
	written int64 // end of the last bytes; a hole may follow
	crc     uint32
}

func (s *plainSink) Data(p []byte) error {
	if err := s.begin(); err != nil {
		return err
	}
	if err := s.write(s.out, p, s.off); err != nil {
		return err
	}
	s.crc = crc32c.Update(s.crc, p)
	s.off += int64(len(p))
	s.written = s.off
	return nil
}

func (s *plainSink) Hole(n int64) error {
	s.crc = crc32c.Zeros(s.crc, n)
	s.off += n
	return s.begin()
}

func (s *plainSink) begin() (err error) {
	if s.out == nil {
		s.out, err = s.create(s.task)
	}
	return err
}

// controlAttempts is how often pg_control is read until its crc fits: the
// server overwrites it in place, so a read may see two halves.
const controlAttempts = 10

func (w *worker) copyControl(t *Task) error {
	image, control, err := w.readControl(t.source())
	if err != nil {
		return err
	}
	f, err := w.create(t)
	if err != nil {
		return err
	}
	if err := w.write(f, image, 0); err != nil {
		return errors.Join(err, f.Close())
	}
	n := int64(len(image))
	return w.sync.put(f, t, Result{Size: n, CRC: control.CRC, Copied: n, Alg: compress.None, Control: control})
}

func (w *worker) readControl(path string) (image []byte, control *pgdata.Control, err error) {
	for attempt := range controlAttempts {
		var raw []byte
		if raw, err = w.Source.ReadFile(w.ctx, path, 2*pgdata.ControlFileSize); err != nil {
			return nil, nil, fmt.Errorf("read control file: %w", err)
		}
		if image, control, err = pgdata.BackupCopy(raw); err == nil {
			return image, control, nil
		}
		wait := time.NewTimer(time.Duration(attempt) * time.Millisecond)
		select {
		case <-w.ctx.Done():
			wait.Stop()
			return nil, nil, context.Cause(w.ctx)
		case <-wait.C:
		}
	}
	return nil, nil, err
}
