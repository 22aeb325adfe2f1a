package opengaussd

import (
	"bytes"
	_ "embed"
	"encoding/binary"
	"encoding/hex"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"gsprobackup/test/opengaussd/ogdata"
)

var (
	//go:embed testdata/main.txt
	recordedMain string
	//go:embed testdata/ha.txt
	recordedHA string
)

type recorded struct {
	client bool
	b      []byte
}

func records(t *testing.T, text string) []recorded {
	t.Helper()
	var list []recorded
	for line := range strings.Lines(text) {
		side, data, ok := strings.Cut(strings.TrimSpace(line), " ")
		if !ok || side == "#" {
			continue
		}
		b, err := hex.DecodeString(data)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, recorded{side == "C", b})
	}
	return list
}

// raw is a client that speaks bytes.
type raw struct {
	t *testing.T
	net.Conn
}

func dialRaw(t *testing.T, port int) *raw {
	t.Helper()
	c, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return &raw{t, c}
}

// message reads one message; nil at the end of the connection.
func (r *raw) message() []byte {
	r.t.Helper()
	head := make([]byte, 5)
	if _, err := io.ReadFull(r, head); err != nil {
		return nil
	}
	b := make([]byte, 1+binary.BigEndian.Uint32(head[1:]))
	copy(b, head)
	if _, err := io.ReadFull(r, b[5:]); err != nil {
		return nil
	}
	return b
}

func (r *raw) write(b []byte) {
	r.t.Helper()
	if _, err := r.Write(b); err != nil {
		r.t.Fatal(err)
	}
}

func (r *raw) query(sql string) {
	r.t.Helper()
	b := binary.BigEndian.AppendUint32([]byte{'Q'}, uint32(5+len(sql)))
	r.write(append(append(b, sql...), 0))
}

func startupPacket(version uint32, params ...string) []byte {
	b := binary.BigEndian.AppendUint32(make([]byte, 4), version)
	for _, p := range params {
		b = append(append(b, p...), 0)
	}
	b = append(b, 0)
	binary.BigEndian.PutUint32(b, uint32(len(b)))
	return b
}

// sameShape compares a message with the recorded one: byte for byte where
// nothing depends on the server's state, else by type and number of fields.
func sameShape(got, want []byte) bool {
	switch want[0] {
	case 'K', 'R', 'd':
		return len(got) > 0 && got[0] == want[0]
	case 'D':
		return len(got) > 6 && bytes.Equal(got[5:7], want[5:7]) && got[0] == 'D'
	}
	return bytes.Equal(got, want)
}

// TestRecordedBackup sends what the C tool sent during a recorded backup and
// compares all that the stand-in answers with what the real server did.
func TestRecordedBackup(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ogdata.Options{NoDoubleWrite: true}, Config{
		Users: map[string]User{"rep": {Method: HBATrust, Sysadmin: true, Replication: true}},
	})
	tracked, _ := w.cluster.Tracked()
	c := dialRaw(t, w.srv.Port)
	swap := map[string]string{"0/4B000028": tracked.String()}
	rows := 0
	for i, rec := range records(t, recordedMain) {
		if rec.client {
			b := rec.b
			if b[0] == 'p' {
				continue // the trusted user sends no password
			}
			for from, to := range swap {
				b = bytes.Replace(b, []byte(from), []byte(to), 1)
			}
			c.write(b)
			continue
		}
		if len(rec.b) == 1 {
			one := make([]byte, 1)
			if _, err := io.ReadFull(c, one); err != nil || one[0] != rec.b[0] {
				t.Fatalf("record %d: %q, %v", i, one, err)
			}
			continue
		}
		if rec.b[0] == 'R' && binary.BigEndian.Uint32(rec.b[5:]) == 10 {
			continue
		}
		// The number of databases and of changed blocks is the cluster's own.
		if rec.b[0] == 'D' || rec.b[0] == 'C' && bytes.HasPrefix(rec.b[5:], []byte("SELECT ")) {
			if rec.b[0] == 'D' {
				rows++
				continue
			}
			for {
				got := c.message()
				if got == nil {
					t.Fatalf("record %d: the connection ended", i)
				}
				if got[0] == 'C' {
					break
				}
				if got[0] != 'D' {
					t.Fatalf("record %d: message %q where rows are due", i, got)
				}
			}
			continue
		}
		if rec.b[0] == 'C' && bytes.HasPrefix(rec.b[5:], []byte("SHOW")) {
			if got := c.message(); got == nil || got[0] != 'D' {
				t.Fatalf("record %d: %q", i, got)
			}
		}
		got := c.message()
		if !sameShape(got, rec.b) {
			t.Fatalf("record %d: sent %q, the server %q", i, got, rec.b)
		}
		if rec.b[0] == 'T' && bytes.Contains(rec.b, []byte("pg_cbm_tracked_location")) {
			swap["00000000/4D000028"] = location(w.cluster.Redo())
		}
	}
	if rows < 10 {
		t.Errorf("only %d rows recorded", rows)
	}
}

// TestRecordedStream does the same on the HA port: the recording ends with
// keepalives and data messages, whose layout is compared.
func TestRecordedStream(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ogdata.Options{NoDoubleWrite: true}, Config{})
	start, _, err := w.cluster.BeginBackup()
	if err != nil {
		t.Fatal(err)
	}
	segment := start &^ 0xFFFFFF
	c := dialRaw(t, w.srv.Port+1)
	copies := 0
	for i, rec := range records(t, recordedHA) {
		switch {
		case rec.client && bytes.Contains(rec.b, []byte("START_REPLICATION")):
			c.query("START_REPLICATION " + segment.String())
		case rec.client:
			if rec.b[0] != 'd' && rec.b[0] != 'X' {
				c.write(rec.b)
			}
		case len(rec.b) == 1:
			if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
		case rec.b[0] == 'd':
			if copies++; copies > 3 { // k, w, k
				continue
			}
			got := c.message()
			if got == nil || got[0] != 'd' || got[5] != rec.b[5] {
				t.Fatalf("record %d: %q, the server %q", i, got, rec.b[:6])
			}
			if got[5] == 'k' && (len(got) != len(rec.b) || !bytes.Equal(got[14:22], rec.b[14:22]) || !bytes.Equal(got[30:32], rec.b[30:32])) {
				t.Errorf("record %d: keepalive %x, the server %x", i, got, rec.b)
			}
			if got[5] == 'w' {
				at := binary.LittleEndian.Uint64(got[6:])
				page := got[1+4+65:]
				if at != uint64(segment) || len(got) != len(rec.b) || !bytes.Equal(page[:8], rec.b[70:78]) || !bytes.Equal(page[24:40], rec.b[94:110]) {
					t.Errorf("record %d: data %x, the server %x", i, got[:110], rec.b[:110])
				}
			}
		default:
			got := c.message()
			if !sameShape(got, rec.b) {
				t.Fatalf("record %d: sent %q, the server %q", i, got, rec.b)
			}
		}
	}
	if copies < 6 {
		t.Errorf("only %d data messages recorded", copies)
	}
}

// TestStreamTiming: a client that answers gets asked again and again, one that
// does not is cut after wal_sender_timeout, one that asks is answered.
func TestStreamTiming(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ogdata.Options{NoDoubleWrite: true}, Config{SenderTimeout: 2 * time.Second}) // a busy machine answers late
	c := dialRaw(t, w.srv.Port+1)
	c.write(startupPacket(0x30033, "user", "rep", "replication", "true"))
	for m := c.message(); m[0] != 'Z'; m = c.message() {
		if m[0] == 'K' {
			t.Error("a replication connection got a cancel key")
		}
	}
	c.query("START_REPLICATION 0/5D000000")
	reply := make([]byte, 5+65)
	reply[0], reply[5] = 'd', 'r'
	binary.BigEndian.PutUint32(reply[1:], 4+65)
	asked, answered := 0, 0
	for asked < 6 {
		m := c.message()
		if m == nil {
			t.Fatal("cut although it answered")
		}
		if m[0] != 'd' || m[5] != 'k' {
			continue
		}
		switch m[30] {
		case 1:
			asked++
			reply[5+57] = byte(asked % 2) // every other reply asks too
			c.write(reply)
		case 0:
			answered++
		}
	}
	if answered < 3 { // the first k and those asked for
		t.Errorf("%d answers to requests", answered)
	}
	for {
		m := c.message()
		if m == nil {
			break // without a word
		}
		if m[0] == 'E' {
			t.Errorf("cut with %q", m)
		}
	}
	if n := len(w.srv.Replies()); n != asked {
		t.Errorf("%d replies noted, %d sent", n, asked)
	}
}

// TestRefusals: what each port and each packet is refused with.
func TestRefusals(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ogdata.Options{NoDoubleWrite: true}, Config{})
	cases := []struct {
		name    string
		port    int
		packet  []byte
		command string
		want    string
	}{
		{"protocol 3.2", 0, startupPacket(0x30002, "user", "rep"), "", "SFATAL\x00c0\x00Munsupported frontend protocol 3.2.\x00C0A000\x00"},
		{"SQL on the HA port", 1, startupPacket(0x30033, "user", "rep"), "", "Mthe local listen ip and port is not for the gsql client\x00C57P03"},
		{"replication with thread pool", 0, startupPacket(0x30033, "user", "rep", "replication", "true"), "",
			"SERROR\x00c0\x00Mreplication should connect HA port in thread_pool\x00C22023"},
		{"syntax", 1, startupPacket(0x30033, "user", "rep", "replication", "true"), "START_REPLICATION 0/5D000000 TIMELINE 1",
			"SFATAL\x00c0\x00Mreplication command parser returned 1\x00C42601"},
		{"SQL", 1, startupPacket(0x30033, "user", "rep", "replication", "true"), "SELECT 1", "Mnot connected to database\x00C42809"},
		{"slot", 1, startupPacket(0x30033, "user", "rep", "replication", "true"), `START_REPLICATION SLOT "wslot2" 0/50000000`,
			"SFATAL\x00c18348\x00Mreplication slot \"wslot2\" does not exist\x00C42704\x00dBACKEND\x00"},
		{"removed segment", 1, startupPacket(0x30033, "user", "rep", "replication", "true"), "START_REPLICATION 0/50000000",
			"SFATAL\x00c0\x00Mrequested WAL segment 000000010000000000000050 has already been removed\x00C58P01"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			c := dialRaw(t, w.srv.Port+tc.port)
			c.write(tc.packet)
			sent := tc.command == ""
			for {
				m := c.message()
				switch {
				case m == nil:
					t.Fatal("the connection ended without an error")
				case m[0] == 'Z' && !sent:
					sent = true
					c.query(tc.command)
				case m[0] == 'E':
					if !strings.Contains(string(m), tc.want) {
						t.Errorf("error %q, want %q", m, tc.want)
					}
					if c.message() != nil {
						t.Error("the connection goes on")
					}
					return
				}
			}
		})
	}
}
