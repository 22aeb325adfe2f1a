package agent

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"gsprobackup/internal/usererr"
)

// The version of the protocol. Peers with the same major work together; the
// revision grows with each field or request added.
const (
	major    = 1
	revision = 3
)

// features are what a peer can do beside what its revision says. None is
// needed yet; a bit that only one side knows is not used.
const features = 0

// The greeting, 16 bytes of four little-endian numbers, has the shape of the C
// agent's header (spec/server.md §5.3), so that a C tool at the other end gives
// a clear error instead of waiting.
const (
	greetingSize = 16
	opVersion    = 0          // FIO_AGENT_VERSION
	opError      = 29         // FIO_ERROR
	magic        = 0x42505347 // "GSPB", where C has a file handle
	// tellC is the version a C tool is answered: not its 2.4.2.
	tellC = 2*10000 + 99*100 + 99
	// cVersion is what a C agent answers.
	cVersion = 2*10000 + 4*100 + 2
)

type greeting struct{ op, handle, size, arg uint32 }

func (g greeting) bytes() []byte {
	b := make([]byte, 0, greetingSize)
	for _, n := range []uint32{g.op, g.handle, g.size, g.arg} {
		b = binary.LittleEndian.AppendUint32(b, n)
	}
	return b
}

func readGreeting(r io.Reader) (g greeting, err error) {
	var raw [greetingSize]byte
	if _, err := io.ReadFull(r, raw[:]); err != nil {
		return g, err
	}
	for i, p := range []*uint32{&g.op, &g.handle, &g.size, &g.arg} {
		*p = binary.LittleEndian.Uint32(raw[4*i:])
	}
	return g, nil
}

// peer is what the other side says about itself.
type peer struct {
	program   string // version of the program
	revision  uint32
	features  uint64
	heartbeat time.Duration
}

// Bounds of what a peer may say.
const (
	maxHello     = 4 << 10
	minHeartbeat = 10 * time.Millisecond
	maxHeartbeat = 10 * time.Minute
)

func (p *peer) fields(c *codec) {
	ms := uint32(p.heartbeat / time.Millisecond)
	c.text(&p.program)
	c.u32(&p.revision)
	c.u64(&p.features)
	c.u32(&ms)
	p.heartbeat = min(max(time.Duration(ms)*time.Millisecond, minHeartbeat), maxHeartbeat)
}

func self(program string, heartbeat time.Duration) peer {
	return peer{program: program, revision: revision, features: features, heartbeat: heartbeat}
}

// parsePeer reads a hello. Before it is read nobody knows how many fields it
// has, so more than we know are not counted.
func parsePeer(body []byte) (p peer, err error) {
	c := codec{buf: body, reading: true}
	p.fields(&c)
	if c.err != nil {
		return p, c.err
	}
	p.features &= features
	return p, nil
}

// hello is a peer as it is sent: length and fields.
func (p peer) hello() []byte { return encode(nil, &p) }

// greetAgent opens the conversation with an agent.
func greetAgent(rw io.ReadWriter, own peer) (peer, error) {
	g := greeting{op: opVersion, handle: magic, arg: major<<16 | revision}
	if _, err := rw.Write(g.bytes()); err != nil {
		return peer{}, noAnswer(err)
	}
	g, err := readGreeting(rw)
	switch {
	case err != nil:
		return peer{}, noAnswer(err)
	case g.op == opVersion && g.arg == cVersion && g.handle != magic|answered:
		return peer{}, usererr.New("Remote agent version %s does not match local program version %s", versionText(cVersion), own.program).
			WithHint("the gs_probackup started on the remote host is the C tool; install this program there, in the directory given with --remote-path")
	case g.op != opVersion || g.handle != magic|answered || g.size > maxHello:
		return peer{}, usererr.New("Remote agent returned message of unexpected type: %d", int32(g.op)).
			WithHint("the remote shell may print something when it starts (it began with %q); it must be silent for commands run over ssh", printable(g.bytes()))
	}
	body := make([]byte, g.size)
	if _, err := io.ReadFull(rw, body); err != nil {
		return peer{}, noAnswer(err)
	}
	there, err := parsePeer(body)
	if err != nil {
		return peer{}, usererr.Wrap(err, "Remote agent returned message of unexpected type: %d", g.op)
	}
	if g.arg>>16 != major {
		return peer{}, usererr.New("Remote agent version %s does not match local program version %s", there.program, own.program).
			WithHint("install the same version of gs_probackup on both hosts")
	}
	mine := own.hello()
	if _, err := rw.Write(append(binary.LittleEndian.AppendUint32(nil, uint32(len(mine))), mine...)); err != nil {
		return peer{}, noAnswer(err)
	}
	return there, nil
}

// answered marks the greeting of an agent.
const answered = 0x80808080

// errNoAnswer is an agent that did not say anything, errLate one that went on
// saying nothing.
var (
	errNoAnswer = errors.New("no answer from the agent")
	errLate     = fmt.Errorf("%w in time", errNoAnswer)
)

func noAnswer(err error) error { return fmt.Errorf("%w: %w", errNoAnswer, err) }

func printable(b []byte) string {
	n := 0
	for n < len(b) && (b[n] >= ' ' && b[n] < 0x7F || b[n] == '\n' || b[n] == '\t') {
		n++
	}
	return string(b[:n])
}

// greetClient answers whoever started this agent. A C tool is told that it is
// the wrong one.
func greetClient(r io.Reader, w io.Writer, own peer) (peer, error) {
	g, err := readGreeting(r)
	if err != nil {
		return peer{}, endOfData(err)
	}
	if g.op != opVersion || g.size > maxHello {
		return peer{}, usererr.New("Communication error: this is the remote side of gs_probackup, which only gs_probackup talks to")
	}
	if g.handle != magic {
		return peer{}, refuseC(r, w, g)
	}
	body := own.hello()
	answer := greeting{op: opVersion, handle: magic | answered, size: uint32(len(body)), arg: major<<16 | revision}
	if _, err := w.Write(append(answer.bytes(), body...)); err != nil {
		return peer{}, endOfData(err)
	}
	var raw [4]byte
	if _, err := io.ReadFull(r, raw[:]); err != nil {
		return peer{}, endOfData(err)
	}
	size := binary.LittleEndian.Uint32(raw[:])
	if size > maxHello {
		return peer{}, usererr.Wrap(protocolErrorf("hello of %d bytes", size), "Communication error: unexpected greeting")
	}
	body = make([]byte, size)
	if _, err := io.ReadFull(r, body); err != nil {
		return peer{}, endOfData(err)
	}
	p, err := parsePeer(body)
	if err != nil {
		return peer{}, usererr.Wrap(err, "Communication error: unexpected greeting")
	}
	return p, nil
}

// refuseC talks to a C tool until it has understood.
func refuseC(r io.Reader, w io.Writer, g greeting) error {
	text := "this is not the C tool; use one gs_probackup on both hosts"
	g.size, g.arg = 0, tellC
	_, err := w.Write(g.bytes())
	if err == nil {
		// It should end here. If the version is all the same to it, any
		// request gets the answer that ends it.
		if _, err = readGreeting(r); err == nil {
			no := greeting{op: opError, size: uint32(len(text) + 1)}
			_, err = w.Write(append(append(no.bytes(), text...), 0))
		}
	}
	return usererr.Wrap(err, "Version mismatch, gs_probackup binary with version '%s' is launched as an agent for gs_probackup binary with version '%s'",
		versionText(tellC), versionText(cVersion))
}

func versionText(n uint32) string { return fmt.Sprintf("%d.%d.%d", n/10000, n/100%100, n%100) }

func endOfData(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return usererr.Wrap(err, "Communication error: end of data")
	}
	return usererr.Wrap(err, "Communication error: %v", err)
}
