package opengaussd

import (
	"encoding/binary"
	"errors"
	"io/fs"
	"time"

	"gsprobackup/internal/wal"
	"gsprobackup/test/opengaussd/ogwal"
)

// Sizes of the structs in CopyData (server.md §4.2), little endian as on the
// recorded machine.
const (
	dataHeader = 64
	keepalive  = 32
	replySize  = 64
	maxSend    = 8 << 20 // walsender_max_send_size
)

// sender streams WAL to one client.
type sender struct {
	srv     *Server
	w       *wire
	pos     wal.LSN // next byte to send
	chunk   int     // index into Config.Chunks
	replies chan bool
	gone    chan struct{} // closed when the client has ended the stream
	last    time.Time     // of the last reply
}

func newSender(s *Server, w *wire, start wal.LSN) *sender {
	return &sender{srv: s, w: w, pos: start, replies: make(chan bool, 64), gone: make(chan struct{})}
}

// run is the recorded sequence (server.md §4.3): CopyBoth, k, w…, when caught
// up k with a request for a reply, then such a k every half time-out.
func (x *sender) run() {
	if err := x.w.send('W', []byte{0, 0, 0}); err != nil {
		return
	}
	go x.listen()
	if err := x.keepalive(false, true); err != nil {
		return
	}
	timeout := x.srv.cfg.SenderTimeout
	ping := time.NewTicker(timeout / 2)
	defer ping.Stop()
	x.last = time.Now()
	caughtUp := false
	for {
		grown := x.srv.cfg.Cluster.WAL().Grown()
		sent, err := x.advance()
		if err != nil {
			return
		}
		if !sent && !caughtUp {
			caughtUp = true
			if err := x.keepalive(true, false); err != nil {
				return
			}
		}
		if !sent && x.shuttingDown() {
			_ = x.w.complete("COPY 0") // without CopyDone (server.md §4.4)
			return
		}
		if !x.wait(sent, grown, ping.C, timeout) {
			return
		}
	}
}

// wait handles replies and the clock; without anything sent it waits for
// something to happen. false ends the stream.
func (x *sender) wait(sent bool, grown <-chan struct{}, ping <-chan time.Time, timeout time.Duration) bool {
	if sent { // only look
		closed := make(chan struct{})
		close(closed)
		grown = closed
	}
	overdue := time.NewTimer(time.Until(x.last.Add(timeout)))
	defer overdue.Stop()
	select {
	case <-x.gone:
		return false
	case wanted := <-x.replies:
		x.last = time.Now()
		return !wanted || x.keepalive(false, false) == nil
	case <-ping:
		return x.keepalive(true, false) == nil
	case <-overdue.C:
		return false // closed without a word (server.md §4.3)
	case <-x.srv.shutdown:
		return true
	case <-grown:
		return time.Since(x.last) < timeout || len(x.replies) > 0
	}
}

func (x *sender) shuttingDown() bool {
	select {
	case <-x.srv.shutdown:
		return true
	default:
		return false
	}
}

var errStreamOver = errors.New("stream ends")

// advance sends one message of WAL, if there is any.
func (x *sender) advance() (bool, error) {
	log := x.srv.cfg.Cluster.WAL()
	n := x.size(log.End())
	if n == 0 {
		return false, nil
	}
	if f, ok := x.srv.faults.streamAt(x.pos, x.pos+wal.LSN(n)); ok {
		if f.At > x.pos {
			if err := x.data(log, int(f.At-x.pos)); err != nil {
				return false, err
			}
		}
		switch {
		case f.Err != nil:
			_ = x.w.fail(f.Err)
		case f.Stall:
			<-x.gone
		}
		return false, errStreamOver
	}
	return true, x.data(log, n)
}

// size is how much the next message carries.
func (x *sender) size(end wal.LSN) int {
	if x.pos >= end {
		return 0
	}
	limit := maxSend - uint64(x.pos)%maxSend
	if sizes := x.srv.cfg.Chunks; len(sizes) > 0 {
		limit = uint64(sizes[x.chunk%len(sizes)])
		x.chunk++
	}
	return int(min(limit, uint64(end-x.pos)))
}

// data sends n bytes in one 'w' message; it may cross segment borders.
func (x *sender) data(log *ogwal.Writer, n int) error {
	b := make([]byte, 1+dataHeader+n)
	for got := 0; got < n; {
		k, err := log.ReadAt(b[1+dataHeader+got:], x.pos+wal.LSN(got))
		if errors.Is(err, fs.ErrNotExist) {
			name := wal.SegmentNameAt(ogwal.Timeline, x.pos+wal.LSN(got), ogwal.SegSize)
			_ = x.w.fail(&Error{Severity: "FATAL", State: "58P01", Message: "requested WAL segment " + name + " has already been removed"})
			return errStreamOver
		}
		if err != nil {
			return err
		}
		got += k
	}
	le := binary.LittleEndian
	b[0] = 'w'
	h := b[1:]
	le.PutUint64(h, uint64(x.pos))
	le.PutUint64(h[8:], uint64(log.End()))
	le.PutUint64(h[16:], x.micros())
	x.pos += wal.LSN(n)
	le.PutUint64(h[24:], uint64(x.pos)) // write, flush, replay stay 0
	copy(h[57:64], "garbage")
	return x.send(b)
}

// send writes CopyData. A client that does not read is cut after 12 s
// (server.md §4.3).
func (x *sender) send(b []byte) error {
	if err := x.w.SetWriteDeadline(time.Now().Add(2 * x.srv.cfg.SenderTimeout)); err != nil {
		return err
	}
	return x.w.send('d', b)
}

// keepalive sends a 'k'. Role and state are those of a single node.
func (x *sender) keepalive(reply, catchup bool) error {
	b := make([]byte, 1+keepalive)
	b[0] = 'k'
	h := b[1:]
	le := binary.LittleEndian
	le.PutUint64(h, uint64(x.pos))
	le.PutUint32(h[8:], 1)
	le.PutUint32(h[12:], 1)
	le.PutUint64(h[16:], x.micros())
	if reply {
		h[24] = 1
	}
	if catchup {
		h[25] = 1
	}
	copy(h[26:32], "\x4b\x00\x36\x56\x00\x00") // garbage, as recorded
	return x.send(b)
}

func (x *sender) micros() uint64 { return uint64(wal.ServerMicros(x.srv.cfg.Now())) }

// listen reads what the client sends. Any reply of the right size counts; one
// that asks for a keepalive gets it.
func (x *sender) listen() {
	defer close(x.gone)
	for {
		kind, body, err := x.w.message()
		if err != nil || kind != 'd' { // CopyDone, Terminate: close at once
			return
		}
		if len(body) != 1+replySize || body[0] != 'r' {
			x.srv.noteUnknown("CopyData " + string(body[:min(len(body), 1)]))
			return
		}
		x.srv.noteReply(body[1:])
		select {
		case x.replies <- body[1+56] == 1:
		default: // the stream is busy; one of the waiting ones will do
		}
	}
}

// Reply is what a client has reported (server.md §4.2, 'r').
type Reply struct {
	Receive, Write, Flush, Apply wal.LSN
	Role, State                  uint32
	ReplyRequested               bool
}

func (s *Server) noteReply(b []byte) {
	le := binary.LittleEndian
	lsn := func(off int) wal.LSN { return wal.LSN(le.Uint64(b[off:])) }
	r := Reply{lsn(0), lsn(8), lsn(16), lsn(24), le.Uint32(b[40:]), le.Uint32(b[44:]), b[56] == 1}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.replies = append(s.replies, r)
}

// Replies lists what WAL receivers have reported.
func (s *Server) Replies() []Reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Reply(nil), s.replies...)
}
