// Package pieces shares the work on a list of files between workers so that
// one large file keeps all of them busy.
//
// It owns the order: pieces of files that are open first, then the next item
// of the list. It leaves what an item, an open file and a piece are to its
// callers, validate and restore.
package pieces

import "sync"

// Queue hands out work. F is a caller's open file. It is safe for concurrent
// use.
type Queue[F any] struct {
	mu      sync.Mutex
	cond    sync.Cond
	items   int
	next    int
	open    []*Open[F]
	opening int
	stopped bool
}

// Open is a file of which pieces are handed out.
type Open[F any] struct {
	File    F
	pieces  int
	taken   int
	pending int
}

// Job is either an item to open (Open is nil) or a piece of an open file.
type Job[F any] struct {
	Item  int
	Open  *Open[F]
	Piece int
}

// New returns a queue over items 0..n-1.
func New[F any](n int) *Queue[F] {
	q := &Queue[F]{items: n}
	q.cond.L = &q.mu
	return q
}

// Take returns the next job; ok is false when there will be none. An item may
// turn out to have pieces for everybody, so a worker without work waits while
// others open theirs. A job with an item must be ended by Opened, one with a
// piece by Done.
func (q *Queue[F]) Take() (j Job[F], ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for {
		switch {
		case q.stopped:
			return j, false
		case len(q.open) > 0:
			f := q.open[0]
			j.Open, j.Piece = f, f.taken
			if f.taken++; f.taken == f.pieces {
				q.open = q.open[1:]
			}
			return j, true
		case q.next < q.items:
			j.Item = q.next
			q.next++
			q.opening++
			return j, true
		case q.opening == 0:
			return j, false
		}
		q.cond.Wait()
	}
}

// Opened ends a job with an item. With pieces > 0 the file's pieces are handed
// out from now on; 0 means that there is nothing more to do for it.
func (q *Queue[F]) Opened(file F, pieces int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.opening--
	if pieces > 0 {
		q.open = append(q.open, &Open[F]{File: file, pieces: pieces, pending: pieces})
	}
	q.cond.Broadcast()
}

// Done ends a job with a piece; last is true for the one that ended the file.
func (q *Queue[F]) Done(f *Open[F]) (last bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	f.pending--
	return f.pending == 0
}

// Stop makes every further Take return nothing.
func (q *Queue[F]) Stop() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.stopped = true
	q.cond.Broadcast()
}
