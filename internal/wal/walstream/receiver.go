package walstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"gsprobackup/internal/event"
	"gsprobackup/internal/fsx"
	"gsprobackup/internal/wal"
)

// CopyStream is a replication connection after START_REPLICATION. Receive and
// Send are called at the same time from different goroutines, but neither is
// called twice at once. Both return soon after their context has ended; the
// connection may be unusable then.
type CopyStream interface {
	// Receive returns the payload of the next CopyData message, valid until
	// the next call, io.EOF when the server has ended the stream, or an error
	// that says why the connection is of no use any more.
	Receive(ctx context.Context) ([]byte, error)
	// Send sends one CopyData message.
	Send(ctx context.Context, payload []byte) error
}

// Options tell a Receiver what to do.
type Options struct {
	Dialect  Dialect
	FS       fsx.FS
	Dir      string // where the segments go; exists
	Timeline wal.Timeline
	SegSize  uint32  // bytes; 0: wal.DefaultSegSize
	Start    wal.LSN // as requested from the server; a segment's start, see StartPosition

	Slot          bool          // the stream uses a replication slot
	Flush         FlushReport   // how the flush position is reported
	RenamePartial bool          // give an incomplete last segment its own name (standby)
	StallTimeout  time.Duration // longest time without any message; 0: no limit
	Events        event.Sink    // nil: none
}

// StartPosition is where streaming must start for a backup that needs WAL from
// lsn on: the start of the segment.
func StartPosition(lsn wal.LSN, segSize uint32) wal.LSN {
	return wal.SegmentStart(wal.SegmentNumber(lsn, segSize), segSize)
}

// Receiver stores a WAL stream until it is stopped.
type Receiver struct {
	stream CopyStream
	o      Options
	flush  FlushReport

	progress progress
	done     chan struct{}

	ctx    context.Context // ends when the receiver has to leave Receive
	cancel context.CancelCauseFunc

	segments segmentWriter
	queue    chan finishedSegment

	sendMu   sync.Mutex
	sendBuf  []byte
	lastSent time.Time
	lastPing time.Time

	born      time.Time    // for differences only
	receiving atomic.Int64 // nanoseconds after born when the wait for a message began, 0: none
}

// errStopReached is the cause by which Stop ends a pending Receive.
var errStopReached = errors.New("stop position reached")

// queuedBytes bounds the finished segments that wait for their sync, so that
// a slow disk does not stop the reader at once; at least 4 may wait.
const queuedBytes = 1 << 30

// Start begins receiving in the background. Cancelling ctx ends it with the
// context's error; the stream must then be closed by the caller, as after any
// other end.
func Start(ctx context.Context, stream CopyStream, o Options) (*Receiver, error) {
	if o.SegSize == 0 {
		o.SegSize = wal.DefaultSegSize
	}
	switch {
	case o.Dialect.decode == nil || o.FS == nil || o.Timeline == 0:
		return nil, errors.New("start WAL receiver: options are incomplete")
	case !wal.ValidSegSize(o.SegSize):
		return nil, fmt.Errorf("start WAL receiver: segment size %d is not valid", o.SegSize)
	case wal.SegmentOffset(o.Start, o.SegSize) != 0:
		return nil, fmt.Errorf("start WAL receiver: %s is not the start of a segment", o.Start)
	}
	if o.Events == nil {
		o.Events = event.Discard
	}
	r := &Receiver{
		stream: stream, o: o, flush: o.Flush, done: make(chan struct{}), born: time.Now(),
		queue: make(chan finishedSegment, max(4, queuedBytes/int(o.SegSize))),
	}
	if r.flush == FlushDefault {
		if r.flush = FlushNever; o.Slot {
			r.flush = o.Dialect.slotFlush
		}
	}
	r.segments = segmentWriter{
		fs: o.FS, dir: o.Dir, tli: o.Timeline, segSize: o.SegSize, pos: o.Start, done: r.enqueue,
	}
	r.progress.written, r.progress.synced = o.Start, o.Start
	r.lastSent, r.lastPing = time.Now(), time.Now()
	r.ctx, r.cancel = context.WithCancelCause(ctx)
	o.Events.Emit(StreamStarted{LSN: o.Start, Timeline: o.Timeline})
	go r.run()
	return r, nil
}

// Written is the position up to which WAL can be read from the files.
func (r *Receiver) Written() wal.LSN {
	written, _ := r.progress.positions()
	return written
}

// Synced is the position up to which whole segments are durable.
func (r *Receiver) Synced() wal.LSN {
	_, synced := r.progress.positions()
	return synced
}

// WaitFor returns nil when all WAL before lsn can be read from the files. It
// returns at once with the cause when the stream has died or stopped before
// (*EndedError, *StalledError, *GapError, *StoppedError, the server's error),
// and with ctx's error when that ends first. WaitFor(ctx, r.Written()+1) waits
// for any progress.
func (r *Receiver) WaitFor(ctx context.Context, lsn wal.LSN) error {
	return r.progress.wait(ctx, lsn)
}

// Stop makes the receiver end once all WAL before lsn has come; the caller
// passes the end of the last record it needs, or of that record's segment to
// get a whole file. It does not wait: Wait does. WAL behind lsn is kept only
// up to the end of the message or segment it came in.
func (r *Receiver) Stop(lsn wal.LSN) {
	if r.progress.setStop(lsn) {
		r.cancel(errStopReached)
	}
}

// Wait waits for the end and returns nil if everything up to the stop position
// is durable, else what went wrong.
func (r *Receiver) Wait() error {
	<-r.done
	return r.progress.result()
}

// Done is closed when the receiver has ended.
func (r *Receiver) Done() <-chan struct{} { return r.done }

func (r *Receiver) run() {
	defer close(r.done)
	var helpers sync.WaitGroup
	helpers.Go(r.finishSegments)
	beats := make(chan struct{})
	var heart sync.WaitGroup
	heart.Go(func() { r.heartbeat(beats) })

	err := r.receive()
	if err != nil {
		r.progress.fail(err, IsStorage(err))
	}
	r.leave(err)
	close(r.queue)
	helpers.Wait()
	close(beats)
	r.cancel(nil)
	heart.Wait()
	r.conclude(err)
}

// leave gives away the last segment. What was received is made durable even
// when the stream has died: it may be all that the backup needs. Only a
// segment that reaches the stop position may be renamed.
func (r *Receiver) leave(err error) {
	switch {
	case r.segments.file == nil:
	case IsStorage(err):
		_ = r.segments.file.Close() // the file is no good, and this is known
	default:
		r.segments.release(r.o.RenamePartial && r.progress.stopReached())
	}
}

func (r *Receiver) conclude(err error) {
	if err == nil && r.progress.result() == nil {
		r.o.Events.Emit(StreamStopped{LSN: r.segments.pos, Timeline: r.o.Timeline})
	}
	r.progress.end()
}

// storageError marks errors of the file system; they spoil what was written.
type storageError struct{ err error }

func (e *storageError) Error() string { return e.err.Error() }
func (e *storageError) Unwrap() error { return e.err }

// IsStorage tells whether a stream failed because what came could not be
// stored.
func IsStorage(err error) bool {
	var s *storageError
	return errors.As(err, &s)
}

// receive handles messages until the stop position or an error.
func (r *Receiver) receive() error {
	for !r.progress.stopReached() {
		r.receiving.Store(max(1, int64(time.Since(r.born))))
		payload, err := r.stream.Receive(r.ctx)
		r.receiving.Store(0)
		if err == nil {
			err = r.handle(payload)
		} else {
			err = r.receiveError(err)
		}
		if err != nil {
			if cause := context.Cause(r.ctx); cause != nil && !IsStorage(err) {
				err = cause // why Receive or Send was interrupted
			}
			if errors.Is(err, errStopReached) {
				return nil
			}
			return err
		}
	}
	return nil
}

func (r *Receiver) receiveError(err error) error {
	if errors.Is(err, io.EOF) {
		return &EndedError{LSN: r.segments.pos}
	}
	return fmt.Errorf("receive WAL after %s: %w", r.segments.pos, err)
}

func (r *Receiver) handle(payload []byte) error {
	m, err := r.o.Dialect.Decode(payload)
	if err != nil {
		return err
	}
	switch m.Kind {
	case Keepalive:
		r.o.Events.Emit(KeepaliveReceived{ServerEnd: m.ServerEnd, ReplyRequested: m.ReplyRequested})
		if m.ReplyRequested {
			return r.sendStatus(false)
		}
	case ConfigFile:
		r.o.Events.Emit(ConfigSkipped{})
	case WALData:
		return r.store(m)
	}
	return nil
}

// store writes the WAL of a message, segment by segment.
func (r *Receiver) store(m Message) error {
	if m.Start != r.segments.pos {
		return &GapError{Got: m.Start, Want: r.segments.pos}
	}
	if len(m.Data) == 0 {
		r.o.Events.Emit(EmptyDataReceived{LSN: m.Start})
		return nil
	}
	for data := m.Data; len(data) > 0 && !r.progress.stopReached(); {
		rest, err := r.segments.write(data)
		if err != nil {
			return &storageError{err}
		}
		data = rest
		r.progress.advance(r.segments.pos, 0)
	}
	if r.flush == FlushWritten {
		return r.sendStatus(false)
	}
	return nil
}
