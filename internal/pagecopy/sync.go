package pagecopy

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"gsprobackup/internal/fsx"
)

// syncQueue is the number of finished files that may wait for their fsync;
// each holds a descriptor.
const syncQueue = 64

// syncStage makes finished files durable while workers copy others.
type syncStage struct {
	engine *engine
	jobs   chan syncJob
	wg     sync.WaitGroup
}

type syncJob struct {
	file fsx.File
	task *Task
	res  Result
}

// startSync starts the stage. It has more goroutines than there are workers:
// they wait for the disk, and fsyncs of small files that run at the same time
// share one commit of the file system's journal.
func (e *engine) startSync() *syncStage {
	s := &syncStage{engine: e}
	if e.NoSync {
		return s
	}
	s.jobs = make(chan syncJob, syncQueue)
	for range e.syncers() {
		s.wg.Go(func() {
			for job := range s.jobs {
				if err := s.settle(job); err != nil {
					e.cancel(err)
				}
			}
		})
	}
	return s
}

func (e *engine) syncers() int { return 2*e.Workers + 2 }

// put takes over a written file and the report of its result.
func (s *syncStage) put(f fsx.File, t *Task, res Result) error {
	if s.jobs == nil {
		if err := f.Close(); err != nil {
			return err
		}
		return s.engine.report(t, res)
	}
	select {
	case s.jobs <- syncJob{f, t, res}:
		return nil
	case <-s.engine.ctx.Done():
		return errors.Join(context.Cause(s.engine.ctx), f.Close())
	}
}

// settle syncs and closes one file and reports it. After an error somewhere
// it only closes.
func (s *syncStage) settle(job syncJob) error {
	if s.engine.ctx.Err() != nil {
		return job.file.Close()
	}
	err := job.file.Sync()
	if cerr := job.file.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("back up file %s: %w", job.task.source(), err)
	}
	return s.engine.report(job.task, job.res)
}

// drain waits until all files are settled. No put may follow.
func (s *syncStage) drain() {
	if s.jobs == nil {
		return
	}
	close(s.jobs)
	s.wg.Wait()
}

// syncDirs makes the names of the stored files durable.
func (e *engine) syncDirs() error {
	if e.NoSync {
		return nil
	}
	dirs := make(chan string)
	var wg sync.WaitGroup
	for range min(e.syncers(), len(e.dirs)) {
		wg.Go(func() {
			for dir := range dirs {
				if err := e.Out.SyncDir(dir); err != nil {
					e.cancel(fmt.Errorf("sync directory: %w", err))
				}
			}
		})
	}
	for dir := range e.dirs {
		dirs <- dir
	}
	close(dirs)
	wg.Wait()
	return context.Cause(e.ctx)
}
