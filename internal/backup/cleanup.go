package backup

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"gsprobackup/internal/catalog"
	"gsprobackup/internal/server"
	"gsprobackup/internal/usererr"
)

// cleanupTime is how long the steps after a failure may take altogether. They
// must also work when the backup was interrupted, so they do not inherit its
// context's end.
const cleanupTime = 60 * time.Second

// fail undoes what a failed backup has begun: the server leaves backup mode,
// the stream ends, the backup becomes ERROR. It returns the cause, joined by
// what went wrong meanwhile. The cause is told before the cleaning up, as C
// does.
func (r *run) fail(ctx context.Context, cause error) error {
	if ctx.Err() != nil && !saysInterrupted(cause) {
		cause = usererr.Wrap(cause, "interrupted during backup")
	}
	r.failing(cause)
	if r.torn != nil {
		r.transferFailed(*r.torn)
	}
	clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTime)
	defer cancel()
	if r.stream != nil {
		r.stream.abort()
	}
	var problems []error
	if r.inBackupMode && r.stopped == nil && r.flavor.InBackup() {
		if err := r.leaveBackupMode(clean); err != nil {
			problems = append(problems, fmt.Errorf("stop backup on the server: %w", err))
		}
	}
	if r.backup != nil && r.backup.Status == catalog.StatusRunning {
		r.emit(MarkedError{ID: r.backup.ID})
		r.backup.Status = catalog.StatusError
		r.setEnd()
		if err := r.saveControl(); err != nil {
			problems = append(problems, err)
		}
	}
	return errors.Join(append([]error{cause}, problems...)...)
}

// failing tells the cause once, where it happened.
func (r *run) failing(err error) {
	if !r.told {
		r.told = true
		r.emit(Failing{Err: err})
	}
}

// saysInterrupted tells whether an error has the C tool's words for a backup
// that a signal ended.
func saysInterrupted(err error) bool {
	var u *usererr.Error
	return errors.Is(err, errTracking) || errors.As(err, &u) && strings.HasPrefix(strings.ToLower(u.Text), "interrupted during")
}

// leaveBackupMode stops the backup on the server, over a new connection when
// the session is gone and the server is still in backup mode.
func (r *run) leaveBackupMode(ctx context.Context) error {
	announced := false
	announce := func() {
		if !announced {
			announced = true
			r.emit(StopAfterFailure{})
			r.emit(StopWaiting{})
		}
	}
	if r.conn.Err() == nil {
		announce()
	}
	err := r.flavor.AbortBackup(ctx)
	if og, ok := r.flavor.(server.OpenGauss); ok && og.LeftBehind() != nil {
		err = r.endLeftBehind(ctx, og.LeftBehind(), announce)
	}
	if err != nil {
		return err
	}
	r.inBackupMode = false
	if announced {
		r.emit(StopDone{})
	}
	return nil
}

// close gives back the connection and the lock.
func (r *run) close(ctx context.Context) error {
	clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTime)
	defer cancel()
	var errs []error
	if r.stream != nil {
		// It may be broken; the session ends with the process anyway.
		_ = r.stream.close(clean)
	}
	if r.conn != nil {
		if err := r.conn.Close(clean); err != nil && r.conn.Err() == nil {
			errs = append(errs, fmt.Errorf("disconnect: %w", err))
		}
	}
	errs = append(errs, r.parent.release())
	if r.lock != nil {
		if err := r.lock.Release(); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
