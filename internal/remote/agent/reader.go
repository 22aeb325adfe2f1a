package agent

import (
	"bytes"
	"context"
	"fmt"

	"gsprobackup/internal/blockfile"
	"gsprobackup/internal/crc32c"
	"gsprobackup/internal/remote"
)

// reader implements remote.Reader and remote.Ahead.
type reader struct {
	client *client
	now    *conduit // for calls that were not announced
	ahead  *conduit // for those that were
	queue  []announced
	bytes  int64 // that the announced calls may bring
}

// announced is a request whose answer is on its way.
type announced struct {
	kind  kind
	body  []byte
	bytes int64
}

// How far a reader looks ahead: far enough for a long line to stay busy with
// small files, not so far that one worker has the work of all.
const (
	aheadCalls = 64
	aheadBytes = 4 << 20
)

func (h *host) NewReader() (remote.Reader, error) {
	c, err := h.share(context.Background())
	if err != nil {
		return nil, err
	}
	return &reader{client: c}, nil
}

func (r *reader) Close() error {
	for _, d := range []*conduit{r.now, r.ahead} {
		if d != nil {
			d.close()
		}
	}
	r.now, r.ahead, r.queue, r.bytes = nil, nil, nil, 0
	return nil
}

// Room implements remote.Ahead.
func (r *reader) Room() bool { return len(r.queue) < aheadCalls && r.bytes < aheadBytes }

func (r *reader) announce(ctx context.Context, k kind, q message, size int64) error {
	if r.ahead == nil {
		r.ahead = r.client.conduit()
	}
	body := encode(nil, q)
	if err := r.ahead.told(ctx, r.ahead.send(ctx, k, body)); err != nil {
		return err
	}
	r.queue = append(r.queue, announced{k, body, size})
	r.bytes += size
	return nil
}

// AnnounceRun implements remote.Ahead.
func (r *reader) AnnounceRun(ctx context.Context, req *remote.RunRequest) error {
	pages := min(int64(req.To-req.From), remote.MaxRunPages)
	return r.announce(ctx, kindReadRun, &runMessage{*req}, pages*blockfile.PageSize)
}

// AnnounceCopy implements remote.Ahead.
func (r *reader) AnnounceCopy(ctx context.Context, req remote.CopyRequest, size int64) error {
	return r.announce(ctx, kindCopyFile, &copyMessage{req}, size)
}

// AnnounceChecksum implements remote.Ahead.
func (r *reader) AnnounceChecksum(ctx context.Context, path string) error {
	return r.announce(ctx, kindChecksum, &pathMessage{path}, 0)
}

// begin finds the conduit that brings the answer to a request: that of the
// announcement, or another one that is asked now.
func (r *reader) begin(ctx context.Context, k kind, q message) (*conduit, error) {
	body := encode(nil, q)
	if len(r.queue) > 0 && r.queue[0].kind == k && bytes.Equal(r.queue[0].body, body) {
		r.bytes -= r.queue[0].bytes
		r.queue = r.queue[1:]
		return r.ahead, nil
	}
	if r.now == nil {
		r.now = r.client.conduit()
	}
	return r.now, r.now.told(ctx, r.now.send(ctx, k, body))
}

// finish gives up a conduit whose answer was not taken to its end, with all
// that was announced on it.
func (r *reader) finish(d *conduit, ended bool) {
	if ended || d == nil {
		return
	}
	d.close()
	if d == r.ahead {
		r.ahead, r.queue, r.bytes = nil, nil, 0
	} else {
		r.now = nil
	}
}

// call makes a request with one answer.
func (r *reader) call(ctx context.Context, k kind, q message, take func(*conduit, frame) error) (err error) {
	d, err := r.begin(ctx, k, q)
	ended := false
	defer func() { r.finish(d, ended) }()
	if err != nil {
		return err
	}
	f, ended, err := d.hear(ctx)
	if err != nil {
		return err
	}
	defer f.release()
	if f.kind != kindDone {
		ended = false
		return d.broken(protocolErrorf("answer of kind %d", f.kind))
	}
	if err := take(d, f); err != nil {
		ended = false
		return d.broken(err)
	}
	return nil
}

func (r *reader) ReadRun(ctx context.Context, req *remote.RunRequest, run *remote.Run) error {
	run.Reset()
	return r.call(ctx, kindReadRun, &runMessage{*req}, func(d *conduit, f frame) error {
		frames, err := decodeHead(f.body, &runAnswer{run}, d.peer)
		if err != nil {
			return err
		}
		run.Frames = append(run.Frames[:0], frames...)
		return checkRun(req, run)
	})
}

// checkRun makes sure that what the far side calls a run is one: nothing of it
// is looked at any more before it is stored.
func checkRun(req *remote.RunRequest, run *remote.Run) error {
	if sum := crc32c.Sum(run.Frames); sum != run.CRC {
		return protocolErrorf("run with checksum %08x, but %08x was told", sum, run.CRC)
	}
	if run.Pages < 0 || run.Pages > remote.MaxRunPages || run.ZeroPages < 0 || run.Partial < 0 || run.Partial >= blockfile.PageSize {
		return protocolErrorf("run of %d pages", run.Pages)
	}
	total := int64(len(run.Frames))
	if len(run.Headers) == 0 && total > 0 {
		return protocolErrorf("%d bytes without a page", total)
	}
	at := int64(0)
	for i, h := range run.Headers {
		end := blockfile.EndOf(run.Headers, i, total)
		size := end - int64(h.Pos) - blockfile.FrameHeaderSize
		switch {
		case int64(h.Pos) != at, size < 1, size > blockfile.PageSize, end > total,
			h.Block < req.From, h.Block >= req.To, i > 0 && h.Block <= run.Headers[i-1].Block:
			return protocolErrorf("page %d at %d of a run", h.Block, h.Pos)
		}
		if block, told := blockfile.FrameHeader(run.Frames[at:]); block != h.Block || int64(told) != size {
			return protocolErrorf("frame of block %d with %d bytes where block %d has %d", block, told, h.Block, size)
		}
		at = end
	}
	return nil
}

func (r *reader) Checksum(ctx context.Context, path string) (uint32, int64, error) {
	var a checksumAnswer
	err := r.call(ctx, kindChecksum, &pathMessage{path}, func(d *conduit, f frame) error { return decode(f.body, &a, d.peer) })
	return a.CRC, a.Size, err
}

// sumsBatch bounds the files of one request, so that an answer comes soon.
const sumsBatch = 512

func (r *reader) FileSums(ctx context.Context, paths []string) (all []remote.FileSum, err error) {
	all = make([]remote.FileSum, 0, len(paths))
	for len(paths) > 0 {
		n := min(len(paths), sumsBatch)
		var a fileSumsAnswer
		err := r.call(ctx, kindFileSums, &pathsMessage{paths[:n]}, func(d *conduit, f frame) error {
			if err := decode(f.body, &a, d.peer); err != nil {
				return err
			}
			if len(a.Sums) != n {
				return protocolErrorf("%d sums of %d files", len(a.Sums), n)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		all, paths = append(all, a.Sums...), paths[n:]
	}
	return all, nil
}

func (r *reader) PageSums(ctx context.Context, req *remote.SumRequest, sums *remote.PageSums) error {
	return r.call(ctx, kindPageSums, &sumMessage{*req}, func(d *conduit, f frame) error {
		if err := decode(f.body, &pageSumsAnswer{sums}, d.peer); err != nil {
			return err
		}
		if len(sums.Pages) > int(req.To-req.From) {
			return protocolErrorf("sums of %d pages, asked for %d", len(sums.Pages), req.To-req.From)
		}
		return nil
	})
}

func (r *reader) CopyFile(ctx context.Context, req remote.CopyRequest, sink remote.FileSink) (fi remote.FileInfo, err error) {
	d, err := r.begin(ctx, kindCopyFile, &copyMessage{req})
	ended := false
	defer func() { r.finish(d, ended) }()
	if err != nil {
		return fi, err
	}
	for {
		f, last, err := d.hear(ctx)
		if err != nil {
			ended = last
			return fi, err
		}
		fi, err = copyPart(d, f, sink)
		f.release()
		if err != nil || last {
			ended = err == nil
			return fi, err
		}
	}
}

// copyPart handles one message of a file's content.
func copyPart(d *conduit, f frame, sink remote.FileSink) (remote.FileInfo, error) {
	switch f.kind {
	case kindData:
		return remote.FileInfo{}, sink.Data(f.body)
	case kindHole:
		var m int64Message
		if err := decode(f.body, &m, d.peer); err != nil || m.N <= 0 {
			return remote.FileInfo{}, d.broken(protocolErrorf("hole of %d bytes", m.N))
		}
		return remote.FileInfo{}, sink.Hole(m.N)
	case kindDone:
		var a copyAnswer
		if err := decode(f.body, &a, d.peer); err != nil {
			return remote.FileInfo{}, d.broken(err)
		}
		return a.FileInfo, nil
	}
	return remote.FileInfo{}, d.broken(fmt.Errorf("content of kind %d", f.kind))
}
