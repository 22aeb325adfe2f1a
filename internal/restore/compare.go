package restore

import (
	"context"
	"errors"
	"strings"

	"golang.org/x/sync/errgroup"

	"gsprobackup/internal/catalog/contentlist"
	"gsprobackup/internal/crc32c"
	"gsprobackup/internal/pgdata"
	"gsprobackup/internal/remote"
)

// Bounds of one question for the sums of files.
const (
	sumFiles = 512
	sumBytes = 64 << 20
)

// versionKey is a file that is always written: the next backup looks at its
// time to see that the cluster was restored since the last one.
var versionKey = fileKey{0, "PG_VERSION"}

// compareFiles finds the files that need not be written: other than data
// files, of the recorded length and CRC-32C, as C does.
func (w *writeOut) compareFiles(ctx context.Context) error {
	w.same = make([]bool, len(w.entries))
	if !w.compares() {
		return nil
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(w.threads())
	var items []int
	var bytes int64
	ask := func() {
		if part := items; len(part) > 0 {
			g.Go(func() error { return w.compareSome(ctx, part) })
		}
		items, bytes = nil, 0
	}
	for i, e := range w.entries {
		here, ok := w.present[keyOf(e)]
		if !ok || e.IsDatafile && e.Size != 0 || isCompressed3(e) || keyOf(e) == versionKey || w.empties(e) {
			continue
		}
		stored, err := w.storedEntry(e)
		if err != nil {
			return errors.Join(err, g.Wait())
		}
		switch {
		case here.size != stored.Size:
		case here.size == 0:
			w.same[i] = true
		case !sumProves(stored):
		default:
			items, bytes = append(items, i), bytes+here.size
		}
		if len(items) == sumFiles || bytes >= sumBytes {
			ask()
		}
	}
	ask()
	return g.Wait()
}

// storedEntry is where the content of a file that is no data file is found.
func (w *writeOut) storedEntry(e *contentlist.Entry) (*contentlist.Entry, error) {
	if e.IsDatafile && !e.IsCFS {
		return e, nil
	}
	_, stored, err := w.fullCopy(e)
	return stored, err
}

// sumProves tells whether the recorded CRC-32C of a file says something about
// its content.
func sumProves(e *contentlist.Entry) bool {
	return e.ExternalDir > 0 ||
		!pgdata.HoldsOwnSum(e.Path) && e.CRC != crc32c.SelfSummed && !strings.HasPrefix(e.Path, "undo/")
}

// compareSome asks for the sums of some files. Different items are different
// elements of w.same.
func (w *writeOut) compareSome(ctx context.Context, items []int) (err error) {
	reader, err := w.deps.Host.NewReader()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, reader.Close()) }()
	names := make([]string, len(items))
	for i, item := range items {
		names[i] = w.target(w.entries[item])
	}
	sums, err := reader.FileSums(ctx, names)
	if err != nil {
		return err
	}
	for i, item := range items {
		stored, err := w.storedEntry(w.entries[item])
		if err != nil {
			return err
		}
		w.same[item] = sums[i] == remote.FileSum{Sum: sums[i].Sum, Size: stored.Size} && sums[i].Sum.CRC32C() == stored.CRC
	}
	return nil
}
