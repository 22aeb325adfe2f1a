package remote

import (
	"context"
	"sync"
	"time"

	"gsprobackup/internal/blockfile"
)

// Limiter bounds the bytes of a data directory that are read or written in a
// second, by all workers together. Pages count with their 8 kB, whatever
// compression makes of them, so neither the disk nor the line carries more.
// It is safe for concurrent use.
//
// It is a bucket that may be overdrawn by one taker: pieces of any size pass,
// and the next one waits for the difference. Unlike golang.org/x/time/rate it
// lets a new limit hold at once also for those who wait.
type Limiter struct {
	mu      sync.Mutex
	rate    float64 // bytes a second, 0 for no limit
	balance float64 // bytes that may pass
	since   time.Time
	changed chan struct{} // closed with the next Set
}

// NewLimiter returns a limiter; 0 bytes a second is no limit.
func NewLimiter(bytesPerSecond uint64) *Limiter {
	return &Limiter{rate: float64(bytesPerSecond), since: time.Now(), changed: make(chan struct{})}
}

// savedTime is for how long what is not used is kept for later.
const savedTime = 250 * time.Millisecond

// Set changes the limit.
func (l *Limiter) Set(bytesPerSecond uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fill()
	l.rate = float64(bytesPerSecond)
	close(l.changed)
	l.changed = make(chan struct{})
}

func (l *Limiter) fill() {
	now := time.Now()
	l.balance = min(l.balance+now.Sub(l.since).Seconds()*l.rate, savedTime.Seconds()*l.rate)
	l.since = now
}

// take takes n bytes if any may pass; otherwise it tells how long to wait
// before asking again, at most until changed is closed.
func (l *Limiter) take(n int64) (wait time.Duration, changed <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fill()
	if l.rate == 0 {
		l.balance = 0 // a limit that comes later does not count the past
		return 0, nil
	}
	if l.balance > 0 {
		l.balance -= float64(n)
		return 0, nil
	}
	seconds := min(-l.balance/l.rate, 3600)
	return time.Duration(seconds*float64(time.Second)) + time.Millisecond, l.changed
}

// wait returns when n more bytes may pass, or with the cause of ctx.
func (l *Limiter) wait(ctx context.Context, n int64) error {
	for n > 0 {
		wait, changed := l.take(n)
		if changed == nil {
			return nil
		}
		t := time.NewTimer(wait)
		select {
		case <-t.C:
		case <-changed:
		case <-ctx.Done():
		}
		t.Stop()
		if err := context.Cause(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Limited is host with its data under a limit.
func Limited(host Host, l *Limiter) Host {
	h := limited{host, l}
	if far, ok := host.(Far); ok {
		return limitedFar{h, far}
	}
	return h
}

type limited struct {
	Host
	limit *Limiter
}

type limitedFar struct {
	limited
	Far
}

func (h limited) NewReader() (Reader, error) {
	r, err := h.Host.NewReader()
	if err != nil {
		return nil, err
	}
	l := limitedReader{r, h.limit}
	if ahead, ok := r.(Ahead); ok {
		return limitedAhead{l, announcer{ahead}}, nil
	}
	return l, nil
}

func (h limited) NewWriter() (Writer, error) {
	w, err := h.Host.NewWriter()
	if err != nil {
		return nil, err
	}
	return limitedWriter{w, h.limit}, nil
}

func (h limited) CreateFile(ctx context.Context, path string, opts CreateOptions) (FileWriter, error) {
	f, err := h.Host.CreateFile(ctx, path, opts)
	if err != nil {
		return nil, err
	}
	return limitedFile{f, limitedSink{ctx, f, h.limit}}, nil
}

type limitedReader struct {
	Reader
	limit *Limiter
}

// announcer is the part of Ahead that brings no bytes by itself.
type announcer struct{ ahead Ahead }

func (a announcer) Room() bool { return a.ahead.Room() }
func (a announcer) AnnounceRun(ctx context.Context, req *RunRequest) error {
	return a.ahead.AnnounceRun(ctx, req)
}
func (a announcer) AnnounceCopy(ctx context.Context, req CopyRequest, size int64) error {
	return a.ahead.AnnounceCopy(ctx, req, size)
}
func (a announcer) AnnounceChecksum(ctx context.Context, path string) error {
	return a.ahead.AnnounceChecksum(ctx, path)
}

type limitedAhead struct {
	limitedReader
	announcer
}

func (r limitedReader) ReadRun(ctx context.Context, req *RunRequest, run *Run) error {
	err := r.Reader.ReadRun(ctx, req, run)
	if err == nil {
		err = r.limit.wait(ctx, int64(run.Pages)*blockfile.PageSize)
	}
	return err
}

func (r limitedReader) CopyFile(ctx context.Context, req CopyRequest, sink FileSink) (FileInfo, error) {
	return r.Reader.CopyFile(ctx, req, limitedSink{ctx, sink, r.limit})
}

func (r limitedReader) Checksum(ctx context.Context, path string) (uint32, int64, error) {
	crc, size, err := r.Reader.Checksum(ctx, path)
	if err == nil {
		err = r.limit.wait(ctx, size)
	}
	return crc, size, err
}

func (r limitedReader) FileSums(ctx context.Context, paths []string) ([]FileSum, error) {
	sums, err := r.Reader.FileSums(ctx, paths)
	for i := range sums {
		if err == nil {
			err = r.limit.wait(ctx, sums[i].Size)
		}
	}
	return sums, err
}

func (r limitedReader) PageSums(ctx context.Context, req *SumRequest, sums *PageSums) error {
	err := r.Reader.PageSums(ctx, req, sums)
	if err == nil {
		err = r.limit.wait(ctx, int64(len(sums.Pages))*blockfile.PageSize)
	}
	return err
}

type limitedWriter struct {
	Writer
	limit *Limiter
}

func (w limitedWriter) WriteRun(ctx context.Context, req *WriteRequest) error {
	if err := w.limit.wait(ctx, int64(len(req.Headers))*blockfile.PageSize); err != nil {
		return err
	}
	return w.Writer.WriteRun(ctx, req)
}

type limitedFile struct {
	FileWriter
	sink limitedSink
}

func (f limitedFile) Data(p []byte) error { return f.sink.Data(p) }

// limitedSink lets content pass. Its context is that of the call it serves:
// the methods of FileSink have none.
type limitedSink struct {
	ctx   context.Context
	sink  FileSink
	limit *Limiter
}

func (s limitedSink) Data(p []byte) error {
	if err := s.limit.wait(s.ctx, int64(len(p))); err != nil {
		return err
	}
	return s.sink.Data(p)
}

func (s limitedSink) Hole(n int64) error { return s.sink.Hole(n) }
