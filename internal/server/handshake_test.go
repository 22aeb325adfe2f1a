package server

import (
	"bytes"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"pgregory.net/rapid"

	"gsprobackup/internal/pgdata"
)

// scripted is a net.Conn that serves prepared bytes in given portions and
// keeps what is written.
type scripted struct {
	net.Conn
	in      []byte
	portion int
	out     bytes.Buffer
}

func (s *scripted) Read(p []byte) (int, error) {
	if len(s.in) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), s.portion)], s.in)
	s.in = s.in[n:]
	return n, nil
}

func (s *scripted) Write(p []byte) (int, error) { return s.out.Write(p) }

// TestFilterPortions: however reads and writes are cut, the server sees the
// same bytes and pgx sees everything but the answered challenge.
func TestFilterPortions(t *testing.T) {
	startup := []byte("\x00\x00\x00\x12\x00\x03\x00\x00user\x00rep1\x00\x00")
	patched := []byte("\x00\x00\x00\x12\x00\x03\x00\x33user\x00rep1\x00\x00")
	challenge := append([]byte("R\x00\x00\x00\x58"), sha256Challenge(51)...)
	notice := []byte("N\x00\x00\x00\x07abc")
	rest := []byte("R\x00\x00\x00\x08\x00\x00\x00\x00S\x00\x00\x00\x08a\x00b\x00d\x00\x00\x00\x04")
	answer := []byte("p\x00\x00\x00\x45" + gaussProof + "\x00")
	rapid.Check(t, func(t *rapid.T) {
		conn := &scripted{
			in:      bytes.Join([][]byte{notice, challenge, rest}, nil),
			portion: rapid.IntRange(1, 200).Draw(t, "portion"),
		}
		hs := &handshake{minor: 51, user: "rep1", password: "Gauss@123"}
		f := &filterConn{Conn: conn, hs: hs}
		for todo := startup; len(todo) > 0; {
			n := rapid.IntRange(1, len(todo)).Draw(t, "write")
			if _, err := f.Write(todo[:n]); err != nil {
				t.Fatal(err)
			}
			todo = todo[n:]
		}
		var got []byte
		for {
			buf := make([]byte, rapid.IntRange(1, 50).Draw(t, "read"))
			n, err := f.Read(buf)
			got = append(got, buf[:n]...)
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if len(got) == len(notice)+len(rest) {
				break
			}
		}
		if want := append(bytes.Clone(notice), rest...); !bytes.Equal(got, want) {
			t.Fatalf("pgx sees %q, want %q", got, want)
		}
		if want := append(bytes.Clone(patched), answer...); !bytes.Equal(conn.out.Bytes(), want) {
			t.Fatalf("server sees %q, want %q", conn.out.Bytes(), want)
		}
		if !hs.familyKnown || hs.family != pgdata.OpenGauss {
			t.Fatal("family not learnt")
		}
	})
}

func TestFilterFamilies(t *testing.T) {
	negotiate := "v\x00\x00\x00\x0c\x00\x03\x00\x00\x00\x00\x00\x00"
	sasl := "R\x00\x00\x00\x17\x00\x00\x00\x0aSCRAM-SHA-256\x00\x00"
	cases := []struct {
		name, in string
		minor    int
		password string
		known    bool
		family   pgdata.Family
		stop     error
	}{
		{"PostgreSQL", negotiate + sasl, 51, "x", true, pgdata.PostgreSQL, nil},
		{"PostgreSQL without password", negotiate + sasl, 51, "", true, pgdata.PostgreSQL, errNeedPassword},
		{"openGauss trust", "R\x00\x00\x00\x08\x00\x00\x00\x00", 51, "", true, pgdata.OpenGauss, nil},
		{"3.0 trust", "R\x00\x00\x00\x08\x00\x00\x00\x00", 0, "", false, 0, nil},
		{"3.0 code 10", "R\x00\x00\x00\x94" + string(sha256Challenge(0)), 0, "", true, pgdata.OpenGauss, errNeedPassword},
		{"refused", "E\x00\x00\x00\x05\x00", 51, "", false, 0, nil},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			hs := &handshake{minor: tc.minor, password: tc.password}
			f := &filterConn{Conn: &scripted{in: []byte(tc.in), portion: 7}, hs: hs}
			got, err := io.ReadAll(f)
			if !errors.Is(hs.stop, tc.stop) || !errors.Is(err, tc.stop) {
				t.Errorf("stop %v, error %v, want %v", hs.stop, err, tc.stop)
			}
			if tc.stop == nil && string(got) != tc.in {
				t.Errorf("pgx sees %q, want %q", got, tc.in)
			}
			if hs.familyKnown != tc.known || hs.family != tc.family {
				t.Errorf("family %v %v", hs.familyKnown, hs.family)
			}
		})
	}
}

func FuzzFilter(f *testing.F) {
	f.Add([]byte("R\x00\x00\x00\x08\x00\x00\x00\x00rest"), 51)
	f.Add(append([]byte("R\x00\x00\x00\x94"), sha256Challenge(0)...), 0)
	f.Add([]byte("v\x00\x00\x00\x0c\x00\x03\x00\x00\x00\x00\x00\x00R\x00\x00\x00\x05x"), 51)
	f.Fuzz(func(t *testing.T, in []byte, minor int) {
		if len(in) > 8 && in[0] == 'R' && in[8] == 10 {
			return // iteration counts from the fuzzer cost time, not memory
		}
		c := &filterConn{Conn: &scripted{in: in, portion: 13}, hs: &handshake{minor: minor, user: "u", password: "p"}}
		got, _ := io.ReadAll(c)
		if len(got) > len(in) {
			t.Errorf("more bytes come out than went in")
		}
	})
}

func TestParseSettings(t *testing.T) {
	for in, want := range map[string]time.Duration{
		"300s": 5 * time.Minute, "15min": 15 * time.Minute, "1h": time.Hour, "1d": 24 * time.Hour, "90000ms": 90 * time.Second,
		"": -1, "min": -1, "5": -1, "5 weeks": -1, "-1s": -1, "99999999999999d": -1,
	} {
		got, err := parseInterval(in)
		if want < 0 {
			if err == nil {
				t.Errorf("interval %q accepted as %v", in, got)
			}
		} else if err != nil || got != want {
			t.Errorf("interval %q = %v, %v; want %v", in, got, err, want)
		}
	}
	for in, want := range map[string]int{
		"8192": 8192, "16MB": 16 << 20, "1GB": 1 << 30, "64kB": 64 << 10, "": -1, "x": -1, "1TB": -1, "99999999GB": -1,
	} {
		got, err := parseSize(in)
		if want < 0 {
			if err == nil {
				t.Errorf("size %q accepted as %d", in, got)
			}
		} else if err != nil || got != want {
			t.Errorf("size %q = %d, %v; want %d", in, got, err, want)
		}
	}
}

func TestParseStop(t *testing.T) {
	row := func(v ...string) Rows {
		var r [][]byte
		for _, s := range v {
			r = append(r, []byte(s))
		}
		return Rows{r}
	}
	for _, ts := range []string{"2026-11-22 08:48:46+00", "2026-11-22 14:18:46+05:30", "2026-11-22 09:08:18+00:19:32", "2026-11-22 00:48:46-08"} {
		r, err := parseStop(row("7", ts, "1/2"), 3)
		if err != nil || !r.Time.Equal(time.Date(2026, 11, 22, 8, 48, 46, 0, time.UTC)) || r.XID != 7 || r.LSN != 1<<32+2 {
			t.Errorf("%s: %+v, %v", ts, r, err)
		}
	}
	_, err := parseStop(row("x", "2026-11-22 08:48:46+00", "1/2"), 3)
	wantText(t, err, "result of txid_snapshot_xmax() is invalid: x")
	_, err = parseStop(row("7", "yesterday", "1/2"), 3)
	wantText(t, err, "result of current_timestamp is invalid: yesterday")
	for name, rows := range map[string]Rows{
		"no row": {}, "columns": row("7"), "LSN": row("7", "2026-11-22 08:48:46+00", "x"),
	} {
		if _, err := parseStop(rows, 3); err == nil {
			t.Errorf("%s accepted", name)
		}
	}
	if _, err := parseStop(row("7", "2026-11-22 08:48:46+00", "1/2", "", ""), 5); err == nil {
		t.Error("empty label accepted")
	}
}

func FuzzParseTimestamp(f *testing.F) {
	f.Add("2026-11-22 08:48:46+00")
	f.Add("2026-11-22 09:08:18+00:19:32")
	f.Add("infinity")
	f.Fuzz(func(t *testing.T, s string) {
		ts, err := parseTimestamp(s)
		if err == nil && ts.IsZero() && s[:4] != "0001" {
			t.Errorf("%q read as the zero time", s)
		}
	})
}
