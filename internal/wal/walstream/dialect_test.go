package walstream

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"gsprobackup/internal/wal"
)

// captured is a message of a real openGauss 6.0.2 replication connection
// (golden/11_wire). The capture cuts long messages: length is the true size.
type captured struct {
	session    string
	fromServer bool
	length     int
	payload    []byte
}

func capturedMessages(t testing.TB) []captured {
	t.Helper()
	text, err := os.ReadFile("testdata/og6_ha_messages.txt")
	if err != nil {
		t.Fatal(err)
	}
	var out []captured
	session := ""
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if f[0] == "#" {
			session = f[1]
			continue
		}
		n, err := strconv.Atoi(f[1])
		if err != nil {
			t.Fatal(err)
		}
		b, err := hex.DecodeString(f[2])
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, captured{session, f[0] == "S->C", n, b})
	}
	return out
}

func TestDecodeCapturedMessages(t *testing.T) {
	day := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	pos := map[string]wal.LSN{}
	for i, c := range capturedMessages(t) {
		if !c.fromServer {
			continue
		}
		m, err := OpenGauss().Decode(c.payload)
		if err != nil {
			t.Errorf("message %d: %v", i, err)
			continue
		}
		if d := m.SendTime.Sub(day); d < 0 || d > 24*time.Hour {
			t.Errorf("message %d was sent at %s", i, m.SendTime)
		}
		switch m.Kind {
		case Keepalive:
			if m.PeerRole != 1 || m.PeerState != 1 {
				t.Errorf("message %d: role %d, state %d", i, m.PeerRole, m.PeerState)
			}
		case WALData:
			if pos[c.session] != 0 && m.Start != pos[c.session] {
				t.Errorf("message %d starts at %s, the one before ended at %s", i, m.Start, pos[c.session])
			}
			pos[c.session] = m.Start + wal.LSN(c.length-65)
		}
	}
	if got := pos["b_full_stream_ha_01"]; got != 0x4C000000 {
		t.Errorf("full stream ends at %s", got)
	}
	k, _ := OpenGauss().Decode(capturedMessages(t)[2].payload)
	if !k.ReplyRequested || k.ServerEnd != 0x4B000148 {
		t.Errorf("keepalive %+v", k)
	}
}

// TestStatusLikeTool compares a reply with one of the C tool. The positions it
// leaves 0 are 0 here too; bytes that it does not set are 0 here.
func TestStatusLikeTool(t *testing.T) {
	for i, c := range capturedMessages(t) {
		if c.fromServer {
			continue
		}
		want := bytes.Clone(c.payload)
		clear(want[33:41]) // apply read
		clear(want[58:65]) // padding and flags
		s := parseStatus(c.payload)
		if got := OpenGauss().AppendStatus(nil, s); !bytes.Equal(got, want) {
			t.Errorf("message %d:\n got %x\nwant %x", i, got, want)
		}
	}
}

func TestPostgresLayouts(t *testing.T) {
	d := PostgreSQL()
	at := time.Date(2026, 11, 22, 13, 39, 33, 180378000, time.UTC)
	b := d.AppendStatus(nil, Status{Write: 0x100000001, Flush: 2, Apply: 3, SendTime: at, ReplyRequested: true})
	want := "72" + "0000000100000001" + "0000000000000002" + "0000000000000003" + hex.EncodeToString(binary.BigEndian.AppendUint64(nil, uint64(wal.ServerMicros(at)))) + "01"
	if hex.EncodeToString(b) != want {
		t.Errorf("status %x, want %s", b, want)
	}
	m, err := d.Decode(append(walMessage(d, 0x5000028, nil), "xyz"...))
	if err != nil || m.Kind != WALData || m.Start != 0x5000028 || string(m.Data) != "xyz" {
		t.Errorf("%+v, %v", m, err)
	}
	if m, err = d.Decode(keepalive(d, 7, true)); err != nil || m.Kind != Keepalive || !m.ReplyRequested || m.ServerEnd != 7 {
		t.Errorf("%+v, %v", m, err)
	}
}

func TestMalformedMessages(t *testing.T) {
	og, pg := OpenGauss(), PostgreSQL()
	far := walMessage(og, 1<<64-2, []byte("four"))
	for _, c := range []struct {
		d    Dialect
		b    []byte
		text string
	}{
		{og, nil, "empty"},
		{og, make([]byte, 64), "unrecognized"},
		{og, append([]byte{'w'}, make([]byte, 63)...), "too small: 64."},
		{og, append([]byte{'k'}, make([]byte, 31)...), "incorrect size: 32"},
		{og, append([]byte{'k'}, make([]byte, 33)...), "incorrect size: 34"},
		{og, []byte("d"), "unrecognized streaming header: 'd'."},
		{og, far, "out of range"},
		{pg, append([]byte{'w'}, make([]byte, 23)...), "too small"},
		{pg, append([]byte{'k'}, make([]byte, 32)...), "incorrect size"},
		{pg, []byte("m"), "unrecognized"},
	} {
		_, err := c.d.Decode(c.b)
		var bad *ProtocolError
		if !errors.As(err, &bad) || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s %.5x...: %v, want %q", c.d, c.b, err, c.text)
		}
	}
	if m, err := og.Decode([]byte("m anything")); err != nil || m.Kind != ConfigFile {
		t.Errorf("configuration file: %+v, %v", m, err)
	}
}

func FuzzDecode(f *testing.F) {
	for _, c := range capturedMessages(f) {
		f.Add(c.payload)
	}
	f.Add(walMessage(PostgreSQL(), 1<<40, []byte("abc")))
	f.Add(keepalive(PostgreSQL(), 1<<40, true))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, d := range []Dialect{OpenGauss(), PostgreSQL()} {
			m, err := d.Decode(b)
			if err == nil && m.Start+wal.LSN(len(m.Data)) < m.Start {
				t.Fatalf("%s: %s plus %d bytes wraps around", d, m.Start, len(m.Data))
			}
		}
	})
}
