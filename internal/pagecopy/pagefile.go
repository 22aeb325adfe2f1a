package pagecopy

import (
	"errors"
	"fmt"
	"sync"

	"gsprobackup/internal/blockfile"
	"gsprobackup/internal/compress"
	"gsprobackup/internal/fsx"
	"gsprobackup/internal/remote"
)

// pageFile is a data file in work. Runs are claimed in block order, read by
// several workers at a time, placed in block order again, and written in any
// order.
//
// No deadlock: a worker with run n waits only for lower runs, which were
// claimed before. Each worker does its units in the order in which it claimed
// them, so whoever has the oldest claim of all never waits.
type pageFile struct {
	task *Task
	alg  compress.Algorithm

	mu     sync.Mutex
	turn   sync.Cond // placed or err changed
	writer *blockfile.Writer
	out    fsx.File // nil until a page is stored
	err    error

	next      uint32 // first block not claimed
	claimed   int    // runs given out
	placed    int    // runs placed
	busy      int    // runs claimed and not finished
	exhausted bool   // no run will be claimed any more

	pages    uint32 // pages found
	ended    bool   // a run met the end of the file
	partial  int
	vanished bool
}

func (e *engine) newPageFile(t *Task) *pageFile {
	f := &pageFile{task: t, alg: t.Alg, writer: e.spare.get()}
	if f.alg == compress.Undefined {
		f.alg = e.Alg
	}
	if t.Compressed != nil && (f.alg == compress.None || f.alg == compress.Undefined) {
		// The images are mostly empty (spec/formats.md §5.3).
		f.alg = compress.PGLZ
	}
	f.turn.L = &f.mu
	return f
}

// left is a measure of the runs that can be claimed.
func (f *pageFile) left() uint32 {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.exhausted {
		return 0
	}
	return f.task.Blocks() - f.next
}

// claim takes the next run. more tells whether there is another one after it.
// Without a run the unit has no file.
func (f *pageFile) claim() (u unit, more bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.exhausted || f.err != nil {
		return unit{}, false
	}
	from, to := nextRun(f.task, f.next)
	if from == to {
		f.exhausted = true
		return unit{}, false
	}
	u = unit{task: f.task, file: f, seq: f.claimed, from: from, to: to}
	f.next = to
	f.claimed++
	f.busy++
	if from, to = nextRun(f.task, to); from == to {
		f.exhausted = true
	}
	return u, !f.exhausted
}

// nextRun finds the next blocks of a run: up to MaxRunPages wanted ones.
func nextRun(t *Task, at uint32) (from, to uint32) {
	end := t.Blocks()
	if t.Map == nil {
		return at, min(end, at+remote.MaxRunPages)
	}
	for from = at; from < end && !t.Map.Has(from); from++ {
	}
	n := 0
	for to = from; to < end && n < remote.MaxRunPages; to++ {
		if t.Map.Has(to) {
			n++
		}
	}
	return from, to
}

// copyRun reads a run, gives it its place in the stored file and leaves the
// writing to the worker's other half.
func (w *worker) copyRun(u unit) error {
	req := w.runRequest(u)
	run := <-w.spareRuns
	err := w.reader.ReadRun(w.ctx, &req, run)
	off, err := u.file.place(u, run, err, w.create)
	if err != nil || off < 0 {
		w.spareRuns <- run
		return w.finishRun(u.file, err)
	}
	w.writes <- writeJob{u.file, run, off}
	return nil
}

func (e *engine) runRequest(u unit) remote.RunRequest {
	return remote.RunRequest{
		Path: u.task.source(), From: u.from, To: u.to, Map: u.task.Map, Floor: u.task.Floor,
		FirstBlock: u.task.FirstBlock, Compressed: u.task.Compressed,
		Rules: e.Rules, Alg: u.file.alg, Level: e.Level,
	}
}

// writeJob is a run on its way into its file.
type writeJob struct {
	file *pageFile
	run  *remote.Run
	off  int64
}

// writeRuns is the other half of a worker: it writes one run while the next
// is read and checked. It never waits for a turn, so it always comes to an end.
func (w *worker) writeRuns() {
	for job := range w.writes {
		err := w.write(job.file.out, job.run.Frames, job.off)
		w.spareRuns <- job.run
		if err := w.finishRun(job.file, err); err != nil {
			w.fail(job.file.task, err)
		}
	}
}

// finishRun ends a claimed run, and with the last one the file.
func (w *worker) finishRun(f *pageFile, err error) error {
	last, err := f.finish(err)
	if err != nil || !last {
		return err
	}
	return w.seal(f)
}

// place waits for the run's turn and gives it its place in the stored file;
// off is -1 when there is nothing to write. readErr is what ReadRun said.
func (f *pageFile) place(u unit, run *remote.Run, readErr error, create func(*Task) (fsx.File, error)) (off int64, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for f.placed != u.seq && f.err == nil {
		f.turn.Wait()
	}
	if f.err != nil {
		return -1, f.err
	}
	defer f.turn.Broadcast()
	f.placed++
	switch {
	case errors.Is(readErr, remote.ErrVanished):
		// Some runs may have come from a descriptor that was still
		// open; a dropped relation is of no use in parts.
		f.vanished, f.exhausted = true, true
		return -1, nil
	case readErr != nil:
		f.err = readErr
		return -1, readErr
	case f.ended || f.vanished:
		// The file ended before this run. If it has grown again since,
		// WAL replay will do the same.
		return -1, nil
	}
	f.pages += uint32(run.Pages)
	if run.EOF {
		f.ended, f.exhausted, f.partial = true, true, run.Partial
	}
	if len(run.Frames) == 0 {
		return -1, nil
	}
	if f.out == nil {
		if f.out, f.err = create(f.task); f.err != nil {
			return -1, f.err
		}
	}
	if off, f.err = f.writer.Reserve(&run.Run); f.err != nil {
		return -1, f.err
	}
	return off, nil
}

// finish ends a claimed run. last is true for exactly one run of a file
// without errors.
func (f *pageFile) finish(err error) (last bool, _ error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.busy--
	if err != nil {
		f.err = err
		f.turn.Broadcast()
		return false, err
	}
	return f.exhausted && f.busy == 0 && f.err == nil, nil
}

// seal stores the headers of a complete file and sends it on its way to the
// disk.
func (w *worker) seal(f *pageFile) error {
	t := f.task
	defer w.sched.finished(f)
	defer w.spare.put(f.writer)
	if f.vanished {
		return w.discard(f)
	}
	res := Result{
		Size: f.writer.Size(), CRC: f.writer.CRC(), Copied: int64(len(f.writer.Headers())) * blockfile.PageSize,
		Alg: compress.None, Blocks: f.pages, Truncated: f.ended, Partial: f.partial,
	}
	if t.Map != nil {
		res.Blocks = t.Blocks()
	}
	if !f.ended {
		res.Partial = partialTail(t)
	}
	if f.out == nil {
		return w.report(t, res)
	}
	res.Alg = f.alg
	var err error
	if res.Headers, err = w.Headers.Append(f.writer.Headers(), f.writer.Size()); err != nil {
		return errors.Join(err, f.out.Close())
	}
	return w.sync.put(f.out, t, res)
}

// discard undoes the copy of a file that has vanished.
func (w *worker) discard(f *pageFile) error {
	if f.out != nil {
		if err := f.out.Close(); err != nil {
			return err
		}
		if err := w.Out.Remove(f.task.dest()); err != nil {
			return fmt.Errorf("remove copy of vanished file: %w", err)
		}
	}
	return w.report(f.task, Result{Outcome: Vanished, Alg: compress.None})
}

func partialTail(t *Task) int { return int(t.Size % blockfile.PageSize) }

// writerPool keeps the header memory of finished files for the next ones.
type writerPool struct {
	mu   sync.Mutex
	free []*blockfile.Writer
}

func (p *writerPool) get() *blockfile.Writer {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.free); n > 0 {
		w := p.free[n-1]
		p.free = p.free[:n-1]
		return w
	}
	return blockfile.NewWriter(0)
}

func (p *writerPool) put(w *blockfile.Writer) {
	w.Reset()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.free = append(p.free, w)
}
