package merge

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"

	"gsprobackup/internal/blockfile"
	"gsprobackup/internal/catalog"
	"gsprobackup/internal/catalog/contentlist"
	"gsprobackup/internal/fsx"
)

// journalName is a file in the FULL's directory that the C tool does not
// know:
//
//	gs_probackup merge 2 FULL DEST CRC\n    CRC is that of DEST's list
//	one line of a content list per file of the result that is durable, with
//	patch\n                               before it for a file that is in the
//	                                      FULL, once it has been patched
//
// A line that does not parse ends it: it was being written.
const journalName = "merge_journal"

// patchMark is the line before that of a file to be patched.
const patchMark = "patch\n"

// maxJournal is more than the list of any backup.
const maxJournal = 4 << 30

func (w *work) journalPath() string { return filepath.Join(w.full.Dir, journalName) }

// journalHead tells merges apart. An older merge of the same FULL has another
// destination or another FULL.
func (w *work) journalHead() []byte {
	return fmt.Appendf(nil, "gs_probackup merge 2 %s %s %d\n", w.full.ID, w.result, w.dest.ContentCRC)
}

// writeJournal starts the journal with what is known to be done.
func (s *stage) writeJournal() error {
	err := fsx.WriteFileDurable(s.deps.FS, s.journalPath(), 0o600, func(dst io.Writer) error {
		if _, err := dst.Write(s.journalHead()); err != nil {
			return err
		}
		lines := contentlist.NewWriter(dst)
		for i := range s.destMember().entries {
			if e := s.done[keyOf(&s.destMember().entries[i])]; e != nil {
				if err := s.noteFile(dst, lines, e, slices.Contains(s.patches, e)); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("write merge journal: %w", err)
	}
	return nil
}

// noteFile writes what the journal has of a file.
func (s *stage) noteFile(journal io.Writer, lines *contentlist.Writer, e *catalog.Entry, patch bool) error {
	if patch {
		if _, err := io.WriteString(journal, patchMark); err != nil {
			return fmt.Errorf("write merge journal: %w", err)
		}
	}
	if err := lines.Write(e); err != nil {
		return fmt.Errorf("write merge journal: %w", err)
	}
	return nil
}

// noted is a file in a journal.
type noted struct {
	entry catalog.Entry
	patch bool
}

// resume finds out what an earlier run has done. Without a journal that
// agrees with the files, a FULL that says MERGING is foreign.
func (w *work) resume() error {
	w.stage = newStage(w)
	files, err := w.readJournal()
	if err != nil {
		return err
	}
	agrees, err := w.adopt(files)
	if err != nil {
		return err
	}
	merging := w.full.Status == catalog.StatusMerging
	if !agrees {
		w.stage = newStage(w)
	}
	if merging && (!agrees || files == nil) {
		full := w.fullMember()
		full.foreign, full.mixed = true, w.outputAlgorithm
	}
	w.todo = slices.DeleteFunc(w.todo, func(e *catalog.Entry) bool { return w.stage.done[keyOf(e)] != nil })
	w.stage.merged = w.total - len(w.todo)
	return nil
}

// readJournal returns the noted files; nil if there is no journal of this
// merge.
func (w *work) readJournal() ([]noted, error) {
	raw, err := fsx.ReadFile(w.deps.FS, w.journalPath(), maxJournal)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read merge journal: %w", err)
	}
	lines, ok := bytes.CutPrefix(raw, w.journalHead())
	if !ok {
		return nil, nil
	}
	files := []noted{}
	patch := false
	var plain bytes.Buffer
	r := contentlist.NewReader(&plain)
	for line := range bytes.Lines(lines) {
		if string(line) == patchMark {
			patch = true
			continue
		}
		plain.Write(line)
		e, err := r.Next()
		if err != nil || line[len(line)-1] != '\n' { // it was being written
			return files, nil //nolint:nilerr // see journalName
		}
		files = append(files, noted{e, patch})
		patch = false
	}
	return files, nil
}

// adopt compares noted files with what is there. It is false when somebody
// else has been at work since.
func (w *work) adopt(files []noted) (bool, error) {
	arrays, renamed, err := w.openNewMap()
	if err != nil {
		return false, err
	}
	if arrays != nil {
		defer arrays.Close() // read only
	}
	for i := range files {
		e := &files[i].entry
		if w.destMember().find(e) == nil {
			return false, nil
		}
		if ok, err := w.adoptFile(e, files[i].patch); !ok || err != nil {
			return false, err
		}
		if e.NHeaders > 0 {
			if arrays == nil {
				return false, nil
			}
			if _, total, err := blockfile.ReadHeaders(arrays, mapRef(e)); err != nil || total != e.Size {
				return false, nil //nolint:nilerr // another map: not our work
			}
		}
		w.stage.done[keyOf(e)] = e
	}
	// Only when all files have their names the map gets its own.
	if renamed && files != nil {
		if len(w.stage.done) == w.total && w.full.Status == catalog.StatusMerging {
			w.stage.mapDone = true
		} else {
			for _, e := range w.stage.done {
				if e.NHeaders > 0 {
					return false, nil
				}
			}
		}
	}
	return true, nil
}

// openNewMap opens the result's header map under either of its names.
func (w *work) openNewMap() (f fsx.File, renamed bool, err error) {
	f, err = w.deps.FS.Open(w.stage.mapPath())
	if errors.Is(err, fs.ErrNotExist) {
		renamed = true
		f, err = w.deps.FS.Open(w.full.HeaderMapPath())
		if errors.Is(err, fs.ErrNotExist) {
			return nil, true, nil
		}
	}
	if err != nil {
		return nil, false, fmt.Errorf("open page header map: %w", err)
	}
	return f, renamed, nil
}

// adoptFile looks for a noted file under its old or its new name.
func (w *work) adoptFile(e *catalog.Entry, patch bool) (bool, error) {
	if e.Size <= 0 {
		return true, nil
	}
	if patch {
		return w.adoptPatch(e)
	}
	size, there, err := exists(w.deps.FS, w.temp(e))
	if err != nil {
		return false, err
	}
	if there {
		w.stage.pending = append(w.stage.pending, e)
		return size == e.Size, nil
	}
	size, there, err = exists(w.deps.FS, w.final(e))
	if err != nil || !there || size != e.Size {
		return false, err
	}
	if w.full.Status == catalog.StatusMerging {
		return true, nil
	}
	// Nothing was given a name yet: it is a file that is kept.
	old := w.fullMember().find(e)
	return old != nil && old.Size == e.Size && old.CRC == e.CRC, nil
}

// adoptPatch takes over a patch that may have been made, not at all or in
// part. It is made again unless all were.
func (w *work) adoptPatch(e *catalog.Entry) (bool, error) {
	old := w.fullMember().find(e)
	size, there, err := exists(w.deps.FS, w.final(e))
	if err != nil || !there || old == nil || !old.IsDatafile || size < old.Size || size > e.Size {
		return false, err
	}
	w.stage.patches = append(w.stage.patches, e)
	return true, nil
}
