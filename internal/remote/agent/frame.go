package agent

import (
	"encoding/binary"
	"fmt"
	"io"
	"sync"
)

// Limits of the wire, part of the protocol.
const (
	frameHeader = 12
	// maxBody is the largest body of a frame: a run of pages as it is
	// written, 1 MiB of frames and 8 bytes for each page in it, at least 9
	// bytes each.
	maxBody = 2<<20 + 64<<10
	// window is how much one side may send on a stream before the other
	// has taken something from it. It covers 100 Mbit/s at a round trip of
	// a third of a second, for each worker.
	window = 4 << 20
	// messageCost is what a message costs beside its body, so that empty
	// ones are bounded, too.
	messageCost = 64
)

// frameType tells what a frame is for.
type frameType uint8

const (
	frameMessage   frameType = 1
	frameCredit    frameType = 2
	frameClose     frameType = 3
	frameHeartbeat frameType = 4
)

// frame is one unit on the wire.
type frame struct {
	typ    frameType
	kind   kind // of a message
	stream uint32
	body   []byte // of a pool if it is large; see release
}

// putHeader writes the header of a frame whose body has size bytes.
func putHeader(dst []byte, t frameType, k kind, stream uint32, size int) {
	binary.LittleEndian.PutUint32(dst, uint32(size))
	dst[4], dst[5], dst[6], dst[7] = uint8(t), uint8(k), 0, 0
	binary.LittleEndian.PutUint32(dst[8:], stream)
}

// protocolError is a peer that does not keep to the protocol.
type protocolError struct{ reason string }

func (e *protocolError) Error() string { return "protocol error: " + e.reason }

func protocolErrorf(format string, args ...any) error {
	return &protocolError{fmt.Sprintf(format, args...)}
}

// readFrame reads one frame. admit is asked with the header before memory is
// taken for the body.
func readFrame(r io.Reader, admit func(frame, int) error) (frame, error) {
	var head [frameHeader]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return frame{}, err // io.EOF between frames is an orderly end
	}
	size := binary.LittleEndian.Uint32(head[:])
	f := frame{typ: frameType(head[4]), kind: kind(head[5]), stream: binary.LittleEndian.Uint32(head[8:])}
	if head[6] != 0 || head[7] != 0 {
		return frame{}, protocolErrorf("frame header %x", head)
	}
	if err := checkFrame(f, size); err != nil {
		return frame{}, err
	}
	if err := admit(f, int(size)); err != nil {
		return frame{}, err
	}
	f.body = getBody(int(size))
	if _, err := io.ReadFull(r, f.body); err != nil {
		if err == io.EOF { //nolint:errorlint // as io.ReadFull documents it
			err = io.ErrUnexpectedEOF
		}
		return frame{}, err
	}
	return f, nil
}

func checkFrame(f frame, size uint32) error {
	want := uint32(0)
	switch f.typ {
	case frameMessage:
		if size > maxBody {
			return protocolErrorf("message of %d bytes", size)
		}
		want = size
	case frameCredit:
		want = 4
	case frameClose, frameHeartbeat:
	default:
		return protocolErrorf("frame of type %d", f.typ)
	}
	switch {
	case size != want:
		return protocolErrorf("frame of type %d with %d bytes", f.typ, size)
	case (f.stream == 0) != (f.typ == frameHeartbeat):
		return protocolErrorf("frame of type %d on stream %d", f.typ, f.stream)
	case f.typ != frameMessage && f.kind != 0:
		return protocolErrorf("frame of type %d of kind %d", f.typ, f.kind)
	}
	return nil
}

// Bodies from pooledBody bytes on are used again.
const pooledBody = 64 << 10

// bodies is memory, not state: any body will do for any session.
var bodies = sync.Pool{New: func() any { b := make([]byte, 0, maxBody); return &b }}

func getBody(size int) []byte {
	if size < pooledBody {
		return make([]byte, size)
	}
	return (*bodies.Get().(*[]byte))[:size]
}

// release gives the body of a frame back; it must not be used after.
func (f *frame) release() {
	if cap(f.body) == maxBody {
		b := f.body[:0]
		bodies.Put(&b)
	}
	f.body = nil
}
