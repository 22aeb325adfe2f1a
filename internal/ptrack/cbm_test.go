package ptrack

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gsprobackup/internal/usererr"
	"gsprobackup/internal/wal"
)

type fakeCBM struct {
	positions
	rows       []CBMRow
	start      wal.LSN
	end        string
	trackErr   error
	changesErr error
}

func (f *fakeCBM) CBMTrackedLocation(context.Context) (wal.LSN, string, error) {
	if f.trackErr != nil {
		return 0, "", f.trackErr
	}
	at := f.next()
	return at, fmt.Sprintf("%08X/%08X", uint32(at>>32), uint32(at)), nil
}

func (f *fakeCBM) CBMChangedBlocks(_ context.Context, start wal.LSN, end string, row func(CBMRow) error) error {
	f.start, f.end = start, end
	for _, r := range f.rows {
		if err := row(r); err != nil {
			return err
		}
	}
	return f.changesErr
}

var cbmRange = Range{Timeline: 1, Start: 0x5000028, End: 0x7000028}

func query(r Range) Query {
	return Query{Range: r, Wait: Wait{Timeout: 300 * time.Second}}
}

func TestCBMWaitsForTracking(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &fakeCBM{positions: positions{list: []wal.LSN{0x5000028, 0x6000000, 0x7000028}}}
		var seen []wal.LSN
		q := query(cbmRange)
		q.Progress = func(at wal.LSN) { seen = append(seen, at) }
		end := ""
		if _, err := FromCBM(t.Context(), src, q, func(text string) { end = text }); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(seen, src.list[:2]) || src.asked != 3 {
			t.Errorf("progress %s, asked %d times", seen, src.asked)
		}
		if end != "00000000/07000028" || src.end != end || src.start != cbmRange.Start {
			t.Errorf("asked for changes from %s to %q, told %q", src.start, src.end, end)
		}
	})
}

// A server that moves is waited for.
func TestCBMWaitsWhileItMoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &fakeCBM{}
		for at := cbmRange.Start; at < cbmRange.End; at += 1 << 20 {
			for range 200 { // seconds
				src.list = append(src.list, at)
			}
		}
		src.list = append(src.list, cbmRange.End)
		began := time.Now()
		if _, err := FromCBM(t.Context(), src, query(cbmRange), func(string) {}); err != nil {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
	})
}

func TestCBMGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &fakeCBM{positions: positions{list: []wal.LSN{0x5000028}}}
		began := time.Now()
		_, err := FromCBM(t.Context(), src, query(cbmRange), func(string) { t.Error("changes were asked for") })
		var u *usererr.Error
		if !errors.As(err, &u) || !strings.Contains(u.Text, "0/5000028") || !strings.Contains(u.Text, "0/7000028") ||
			!strings.Contains(u.Hint, "enable_cbm_tracking") || !strings.Contains(u.Hint, "--archive-timeout") {
			t.Errorf("error %v", err)
		}
		if waited := time.Since(began); waited != 300*time.Second {
			t.Errorf("waited %v", waited)
		}
	})
}

func TestCBMEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cause := errors.New("stream lost")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(7*time.Second, func() { cancel(cause) })
		src := &fakeCBM{positions: positions{list: []wal.LSN{0}}}
		if _, err := FromCBM(ctx, src, query(cbmRange), func(string) {}); !errors.Is(err, cause) {
			t.Errorf("error %v", err)
		}
	})
}

func TestCBMErrors(t *testing.T) {
	broken := errors.New("broken")
	good := positions{list: []wal.LSN{cbmRange.End}}
	tests := []struct {
		name string
		src  *fakeCBM
		want string
	}{
		{"tracking off", &fakeCBM{trackErr: broken}, "broken"},
		{"function fails", &fakeCBM{positions: good, changesErr: broken}, "broken"},
		{"no path", &fakeCBM{positions: good, rows: []CBMRow{{Count: 1, Blocks: []byte("1")}}}, "without path"},
		{"count too large", &fakeCBM{positions: good, rows: []CBMRow{{Path: "base/1/2", Count: 3, Blocks: []byte("1, 2")}}}, "2 block numbers, want 3"},
		{"count without list", &fakeCBM{positions: good, rows: []CBMRow{{Path: "base/1/2", Count: 3}}}, "0 block numbers, want 3"},
		{"list without count", &fakeCBM{positions: good, rows: []CBMRow{{Path: "base/1/2", Blocks: []byte("1")}}}, "1 block numbers, want 0"},
		{"no number", &fakeCBM{positions: good, rows: []CBMRow{{Path: "base/1/2", Count: 1, Blocks: []byte("x")}}}, "no block number"},
		{"half a list", &fakeCBM{positions: good, rows: []CBMRow{{Path: "base/1/2", Count: 1, Blocks: []byte("1, ")}}}, "no block number"},
		{"other separator", &fakeCBM{positions: good, rows: []CBMRow{{Path: "base/1/2", Count: 2, Blocks: []byte("1;2")}}}, "block list is ';'"},
		{"too large", &fakeCBM{positions: good, rows: []CBMRow{{Path: "base/1/2", Count: 1, Blocks: []byte("4294967295")}}}, "too large"},
	}
	for _, tt := range tests {
		q := query(cbmRange)
		if _, err := FromCBM(context.Background(), tt.src, q, func(string) {}); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %v, want %q", tt.name, err, tt.want)
		}
	}
}

// What is not in the parent backup costs no memory.
func TestCBMKeepsWhatIsOfInterest(t *testing.T) {
	src := &fakeCBM{positions: positions{list: []wal.LSN{cbmRange.End}}}
	for i := range 1000 {
		src.rows = append(src.rows, CBMRow{Path: fmt.Sprintf("base/16384/t3_%d", i), Dropped: true},
			CBMRow{Path: fmt.Sprintf("base/16384/%d", 20000+i), Created: true, Count: 1, Blocks: []byte("0")})
	}
	src.rows = append(src.rows, CBMRow{Path: "base/16384/16402", Count: 2, Blocks: []byte("3, 131077")})
	q := query(cbmRange)
	q.Keep = func(path string) bool { return path == "base/16384/16402" }
	c, err := FromCBM(context.Background(), src, q, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	if len(c.anew) != 0 || len(c.rels) != 1 {
		t.Errorf("%d and %d paths kept", len(c.anew), len(c.rels))
	}
	if got := marked(c.Map(File{Relation: "base/16384/16402", First: 131072, Blocks: 10, Known: 10}), 10); !slices.Equal(got, []uint32{5}) {
		t.Errorf("segment 1: blocks %d", got)
	}
	// The same number in a row-compressed relation is in segment 1, too, but
	// five blocks and the shorter segment further on.
	if got := marked(c.Map(File{Relation: "base/16384/16402", First: 130048, Blocks: 2000, Known: 2000}), 2000); !slices.Equal(got, []uint32{1029}) {
		t.Errorf("compressed segment 1: blocks %d", got)
	}
}

func FuzzParseBlocks(f *testing.F) {
	for _, s := range []string{"", "0", "0, 1, 2", "2,3", "134999, 139998", ", 1", "1 ,2", "4294967294", "99999999999999999999"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, list []byte) {
		var blocks []string
		n, err := parseBlocks(list, func(b uint32) { blocks = append(blocks, fmt.Sprint(b)) })
		if int(n) != len(blocks) && err == nil {
			t.Fatalf("%d numbers, %d told", n, len(blocks))
		}
		if err != nil {
			return
		}
		again := []byte(strings.Join(blocks, ", "))
		if m, err := parseBlocks(again, func(uint32) {}); err != nil || m != n {
			t.Fatalf("written again: %d, %v", m, err)
		}
	})
}
