package wal

import (
	"context"
	"encoding/binary"
	"strings"
	"testing"
	"time"
)

// The commits of the real openGauss segments, as its dump tool prints them
// (golden/13_raw_server_files): most are compact, which the C tool overlooks.
func TestCompletionsOfOpenGauss(t *testing.T) {
	src, o := goldenOG(t)
	var got []string
	toolSees := 0
	_, err := Scan(context.Background(), src, o, 0x5A000028, func(r *Record) (bool, error) {
		c, ok, err := r.Completion()
		if err != nil {
			t.Fatal(err)
		}
		if r.TimeKind() == CommitTime {
			toolSees++
		}
		if ok {
			if !c.Commit || c.XID != r.XID {
				t.Errorf("%s: %+v", r.LSN, c)
			}
			got = append(got, c.Time.Format("15:04:05.000000"))
		}
		return true, nil
	})
	if !Incomplete(err) {
		t.Fatal(err)
	}
	want := "08:50:37.981462 08:50:37.991200 08:50:37.993207 08:50:37.997835"
	if text := strings.Join(got, " "); !strings.HasPrefix(text, want) || len(got) <= toolSees {
		t.Errorf("%d completions, %d of them in the C tool's eyes: %s", len(got), toolSees, text)
	}
}

// Prepared transactions of PostgreSQL are ended by records of others; every
// item that may stand before the xid is skipped.
func TestPreparedCompletions(t *testing.T) {
	le := binary.LittleEndian
	list := func(n, item int) []byte { return append(le.AppendUint32(nil, uint32(n)), make([]byte, n*item)...) }
	for _, tt := range []struct {
		name  string
		major int
		info  byte
		flags uint32
		body  [][]byte
	}{
		{"plain", 13, 0xb0, 0x10, nil},
		{"all of 13", 13, 0xb0, 0x1f, [][]byte{make([]byte, 8), list(2, 4), list(3, 12), list(1, 16)}},
		{"all of 15", 15, 0xb0, 0x11f, [][]byte{make([]byte, 8), list(2, 4), list(3, 12), list(2, 12), list(1, 16)}},
		{"all of 18", 18, 0xb0, 0x11f, [][]byte{make([]byte, 8), list(2, 4), list(3, 12), list(2, 16), list(1, 16)}},
		{"abort", 17, 0xc0, 0x117, [][]byte{make([]byte, 8), list(2, 4), list(3, 12), list(2, 12)}},
	} {
		data := le.AppendUint32(micros(5), tt.flags)
		for _, b := range tt.body {
			data = append(data, b...)
		}
		whole := le.AppendUint32(data, 4711)
		w := newForge(mustPG(t, tt.major), MinSegSize, 1)
		w.add(0, rmgrXact, tt.info, mainBody(whole))
		w.add(0, rmgrXact, tt.info, mainBody(whole[:len(whole)-1]))
		src, o := w.source()
		recs, _ := readAll(t, src, o, w.recs[0].LSN)
		c, ok, err := recs[0].Completion()
		if err != nil || !ok || c.XID != 4711 || c.Commit != (tt.info == 0xb0) || !c.Time.Equal(ServerTime(5)) {
			t.Errorf("%s: %+v, %v, %v", tt.name, c, ok, err)
		}
		if _, _, err := recs[1].Completion(); err == nil {
			t.Errorf("%s: a cut record was accepted", tt.name)
		}
	}
}

func TestWhatIsNoCompletion(t *testing.T) {
	for _, tt := range []struct {
		f    Format
		info byte
	}{
		{mustPG(t, 15), 0x10}, {mustPG(t, 15), 0x50}, {mustPG(t, 15), 0x60}, // prepare, assignment, invalidations
		{OpenGauss(), 0x10}, {OpenGauss(), 0x30}, {OpenGauss(), 0x40}, {OpenGauss(), 0x70},
	} {
		w := newForge(tt.f, MinSegSize, 1)
		w.add(9, rmgrXact, tt.info, mainBody(micros(5)))
		src, o := w.source()
		recs, _ := readAll(t, src, o, w.recs[0].LSN)
		if c, ok, err := recs[0].Completion(); ok || err != nil {
			t.Errorf("%v %x: %+v, %v", tt.f, tt.info, c, err)
		}
	}
	if got := ServerTime(0); !got.Equal(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)) {
		t.Error(got)
	}
}
