package ogdata

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Tree is a state of a data directory, links followed: what a restore must
// give back.
type Tree map[string]Entry

// Entry is one file or directory.
type Entry struct {
	Dir  bool
	Mode fs.FileMode
	Size int64 // bytes; 0 for directories
	Sum  [sha256.Size]byte
}

// emptyDirs exist in a backup, their content does not (formats.md §7.6; the
// last one is docs/deviations.md).
var emptyDirs = []string{
	"pg_xlog", "pg_stat_tmp", "pg_dynshmem", "pg_notify", "pg_serial", "pg_snapshots", "pg_subtrans", "base/pgsql_tmp", "pg_log", "pg_replslot",
	"global/pg_dw_ext_chunk",
}

// leftOut are files that no backup holds (formats.md §7.5, §7.6), and those of
// an exclusive backup that come and go.
var leftOut = []string{
	"postgresql.auto.conf.tmp", "postmaster.pid", "postmaster.opts", "backup_label", "tablespace_map", ".hidden",
	"recovery.conf",
}

// skipped tells whether a path is in no backup.
func skipped(path string) bool {
	for _, d := range emptyDirs {
		if strings.HasPrefix(path, d+"/") {
			return true
		}
	}
	base := filepath.Base(path)
	temporary := len(base) > 1 && base[0] == 't' && base[1] >= '0' && base[1] <= '9' && strings.HasPrefix(path, "base/")
	return slices.Contains(leftOut, path) || base == "pg_internal.init" || temporary
}

// Snapshot records the present state.
func (c *Cluster) Snapshot() (Tree, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return ReadTree(c.opts.Dir)
}

// ReadTree reads a data directory, without what no backup holds. Relations
// with an init fork are unlogged and left out too: the server empties them.
// Row-compressed files count by their logical blocks, pg_control by its 232
// bytes, double-write files by their length and header pages: that is what the
// server needs of them (server.md §3.4).
func ReadTree(dir string) (Tree, error) {
	t := Tree{}
	if err := t.walk(dir, ""); err != nil {
		return nil, err
	}
	for path := range t {
		main, ok := strings.CutSuffix(path, "_init")
		if !ok {
			continue
		}
		for _, p := range []string{main, main + "_fsm", main + "_vm"} {
			delete(t, p)
		}
	}
	return t, nil
}

func (t Tree) walk(root, path string) error {
	full := filepath.Join(root, path)
	fi, err := os.Stat(full)
	if err != nil {
		return fmt.Errorf("read tree: %w", err)
	}
	switch {
	case skipped(path):
		return nil
	case fi.IsDir():
		if path != "" {
			t[path] = Entry{Dir: true, Mode: fi.Mode().Perm()}
		}
		entries, err := os.ReadDir(full)
		if err != nil {
			return fmt.Errorf("read tree: %w", err)
		}
		for _, e := range entries {
			if err := t.walk(root, filepath.Join(path, e.Name())); err != nil {
				return err
			}
		}
		return nil
	}
	n := Entry{Mode: fi.Mode().Perm(), Size: fi.Size()}
	if n.Sum, err = sum(full, path); err != nil {
		return err
	}
	t[path] = n
	return nil
}

func sum(full, path string) (out [sha256.Size]byte, err error) {
	switch {
	case strings.HasSuffix(path, "_compress"):
		return compressedSum(full)
	case path == controlPath:
		b, err := os.ReadFile(full)
		if err != nil || len(b) != blockSize {
			return out, errors.Join(err, fmt.Errorf("pg_control has %d bytes", len(b)))
		}
		return sha256.Sum256(b[:232]), nil
	}
	if strings.HasPrefix(path, "global/pg_dw_") && !strings.HasSuffix(path, "meta") {
		return doubleWriteSum(full, strings.HasSuffix(path, "single"))
	}
	return sparseSum(full)
}

// compressedSum covers the number of blocks, and those that were written.
func compressedSum(full string) (out [sha256.Size]byte, err error) {
	f, err := os.Open(full)
	if err != nil {
		return out, err
	}
	fi, err := f.Stat()
	h := sha256.New()
	n, zero := uint64(0), make([]byte, blockSize)
	if err == nil {
		err = eachImage(f, fi.Size(), func(img []byte) error {
			if n++; !bytes.Equal(img, zero) && img != nil { // a zero page may have chunks or none
				h.Write(binary.LittleEndian.AppendUint64(img, n))
			}
			return nil
		})
	}
	h.Write(binary.LittleEndian.AppendUint64(nil, n))
	return [sha256.Size]byte(h.Sum(nil)), errors.Join(err, f.Close())
}

// doubleWriteSum covers the version in each header page, whose three copies
// must be equal (server.md §3.4).
func doubleWriteSum(full string, single bool) (out [sha256.Size]byte, err error) {
	f, err := os.Open(full)
	if err != nil {
		return out, err
	}
	at := []int64{0}
	if single {
		at = append(at, 31739*blockSize)
	}
	h := sha256.New()
	for _, off := range at {
		p := make([]byte, blockSize)
		if _, rerr := f.ReadAt(p, off); rerr != nil {
			err = errors.Join(err, rerr)
		}
		head := p[:512]
		h.Write(head[8:12])
		if !bytes.Equal(head, p[4096:4608]) || !bytes.Equal(head, p[7680:]) || head[8] == 0 {
			h.Write([]byte("broken"))
		}
	}
	return [sha256.Size]byte(h.Sum(nil)), errors.Join(err, f.Close())
}

// Diff lists what differs in got, in order; nothing if it is the same state.
func (t Tree) Diff(got Tree) []string {
	var out []string
	for path, want := range t {
		have, ok := got[path]
		switch {
		case !ok:
			out = append(out, path+": is missing")
		case have.Dir != want.Dir:
			out = append(out, path+": is of another kind")
		case have.Mode != want.Mode:
			out = append(out, fmt.Sprintf("%s: mode %o, want %o", path, have.Mode, want.Mode))
		case have.Size != want.Size:
			out = append(out, fmt.Sprintf("%s: %d bytes, want %d", path, have.Size, want.Size))
		case have.Sum != want.Sum:
			out = append(out, path+": content differs")
		}
	}
	for path := range got {
		if _, ok := t[path]; !ok {
			out = append(out, path+": should not be there")
		}
	}
	slices.Sort(out)
	return out
}
