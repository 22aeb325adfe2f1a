package pagecopy

import (
	"cmp"
	"errors"
	"slices"
	"sync"

	"gsprobackup/internal/blockfile"
	"gsprobackup/internal/remote"
)

// unit is what a worker does next: a run of a data file, or a whole task.
type unit struct {
	task *Task
	file *pageFile // nil: the whole task
	seq  int       // number of the run in its file
	from uint32    // blocks from..to-1
	to   uint32
}

// scheduler gives out the work.
type scheduler struct {
	tasks []Task
	order []int32 // largest first

	mu   sync.Mutex
	next int // in order
	// open are the data files with runs to give out, live the ones that are
	// not finished.
	open []*pageFile
	live map[*pageFile]struct{}
}

func newScheduler(tasks []Task) *scheduler {
	s := &scheduler{tasks: tasks, order: make([]int32, len(tasks)), live: make(map[*pageFile]struct{})}
	for i := range s.order {
		s.order[i] = int32(i)
	}
	slices.SortStableFunc(s.order, func(a, b int32) int { return cmp.Compare(weight(&tasks[b]), weight(&tasks[a])) })
	return s
}

// weight is the number of bytes a task will read. pg_control goes last: on a
// standby it then tells a minimum recovery point beyond the copied pages.
func weight(t *Task) int64 {
	switch {
	case t.Kind == Control:
		return -1
	case t.Kind == Pages && t.Map != nil:
		return int64(t.Map.Count()) * blockfile.PageSize
	}
	return t.Size
}

// runs is an estimate of the number of units, at least for few of them.
func (s *scheduler) runs() int {
	n := int64(0)
	for i := range s.tasks {
		n += 1 + max(weight(&s.tasks[i]), 0)/(remote.MaxRunPages*blockfile.PageSize)
	}
	return int(min(n, 1<<20))
}

// claim gives a worker its next unit: the next run of the file it has at
// hand, so that each file is read and written in order by one worker as long
// as there are enough files; else the next task; else a run of the file with
// most left to do.
func (s *scheduler) claim(own *pageFile, newFile func(*Task) *pageFile) (unit, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if own != nil {
		if u, ok := s.claimRun(own); ok {
			return u, true
		}
	}
	if s.next < len(s.order) {
		t := &s.tasks[s.order[s.next]]
		s.next++
		if t.Kind != Pages {
			return unit{task: t}, true
		}
		f := newFile(t)
		s.open = append(s.open, f)
		s.live[f] = struct{}{}
		if u, ok := s.claimRun(f); ok {
			return u, true
		}
		delete(s.live, f)
		return unit{task: t}, true
	}
	for len(s.open) > 0 {
		most := slices.MaxFunc(s.open, func(a, b *pageFile) int { return cmp.Compare(a.left(), b.left()) })
		if u, ok := s.claimRun(most); ok {
			return u, true
		}
	}
	return unit{}, false
}

// claimRun takes the next run of a file, and takes a file without one from
// the open ones.
func (s *scheduler) claimRun(f *pageFile) (unit, bool) {
	u, more := f.claim()
	if !more {
		if i := slices.Index(s.open, f); i >= 0 {
			s.open = slices.Delete(s.open, i, i+1)
		}
	}
	return u, u.file != nil
}

// finished forgets a file that is in good hands.
func (s *scheduler) finished(f *pageFile) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.live, f)
}

// closeAll closes the files that an aborted copy left open.
func (s *scheduler) closeAll() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for f := range s.live {
		if f.out != nil {
			errs = append(errs, f.out.Close())
		}
	}
	return errors.Join(errs...)
}
