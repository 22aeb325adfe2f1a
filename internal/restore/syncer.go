package restore

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"gsprobackup/internal/remote"
)

// syncer makes written files durable while others are being written. Its
// goroutines wait for the disk, so there are more of them than workers.
type syncer struct {
	jobs chan string
	wg   sync.WaitGroup
	mu   sync.Mutex
	errs []error
}

// syncers is how many files are synced at a time, at least: the kernel joins
// the flushes of the disk that are asked for together.
const syncers = 24

// syncQueue bounds the names that wait.
const syncQueue = 256

func newSyncer(ctx context.Context, host remote.Host, off bool, workers int) *syncer {
	s := &syncer{}
	if off {
		return s
	}
	s.jobs = make(chan string, syncQueue)
	for range max(2*workers+2, syncers) {
		s.wg.Go(func() {
			for name := range s.jobs {
				if ctx.Err() != nil {
					s.stop(context.Cause(ctx))
					continue
				}
				if err := host.SyncFile(ctx, name); err != nil {
					s.fail(fmt.Errorf("sync restored file: %w", err))
				}
			}
		})
	}
	return s
}

func (s *syncer) put(name string) {
	if s.jobs != nil {
		s.jobs <- name
	}
}

// stop notes once why files were left out.
func (s *syncer) stop(cause error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.errs) == 0 {
		s.errs = append(s.errs, cause)
	}
}

func (s *syncer) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.errs = append(s.errs, err)
}

// wait returns when every file is synced; no put may follow.
func (s *syncer) wait() error {
	if s.jobs == nil {
		return nil
	}
	close(s.jobs)
	s.wg.Wait()
	return errors.Join(s.errs...)
}
