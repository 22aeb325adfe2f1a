package wal

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// The server's own dump tool printed these records (golden/13_raw_server_files):
// sum over "lsn end prev xid len total crc" lines of both segments.
const ogDumpSHA256 = "b2bba45356b6fe595938abd8ba214891b84fc65997746aab17bd55ae74556732"

func TestReadOpenGaussLikeDumpTool(t *testing.T) {
	src, o := goldenOG(t)
	recs, err := readAll(t, src, o, 0x5A000028)
	var absent *SegmentAbsentError
	if !errors.As(err, &absent) || absent.Name != "00000001000000000000005C" {
		t.Fatalf("reading ended with %v, want segment 5C absent", err)
	}
	want := goldenLines(t, "og6_records.txt.zst")
	sum := sha256.New()
	for i := range recs {
		r := &recs[i]
		n, err := r.MainDataLen()
		if err != nil {
			t.Fatal(err)
		}
		got := fmt.Sprintf("%s %d %d %d", r.LSN, r.XID, n, r.TotalLen)
		if i >= len(want) || got != want[i] {
			t.Fatalf("record %d: %s, dump tool says %s", i, got, want[min(i, len(want)-1)])
		}
		fmt.Fprintf(sum, "%s %s %s %d %d %d %d\n", r.LSN, r.EndLSN, r.Prev, r.XID, n, r.TotalLen, r.CRC)
	}
	if len(recs) != len(want) {
		t.Errorf("%d records, dump tool has %d", len(recs), len(want))
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != ogDumpSHA256 {
		t.Errorf("sum of all lines is %s", got)
	}
	if !recs[len(recs)-1].IsSwitch() {
		t.Error("last record is not a switch")
	}
}

func TestReadPostgresLikeDumpTool(t *testing.T) {
	src, o := goldenPG(t)
	recs, err := readAll(t, src, o, 0x900028)
	var absent *SegmentAbsentError
	if !errors.As(err, &absent) || absent.Name != "00000001000000000000000C" {
		t.Fatalf("reading ended with %v, want segment C absent", err)
	}
	rmgr := map[byte]string{0: "XLOG", 1: "Transaction"}
	want := goldenLines(t, "pg15_records.txt.zst")
	if len(recs) != len(want) {
		t.Fatalf("%d records, dump tool has %d", len(recs), len(want))
	}
	times := 0
	for i := range recs {
		r := &recs[i]
		f := append(strings.SplitN(want[i], " ", 7), "") // lsn prev xid reclen total rmgr time
		lsn, _ := ParseLSN(f[0])
		prev, _ := ParseLSN(f[1])
		got := fmt.Sprintf("%d %d", r.XID, r.TotalLen)
		if r.LSN != lsn || r.Prev != prev || got != f[2]+" "+f[4] {
			t.Fatalf("record %d: %s %s %s, dump tool says %s", i, r.LSN, r.Prev, got, want[i])
		}
		if n := rmgr[r.Rmid]; n != "" && n != f[5] {
			t.Fatalf("record %s: resource manager %s, dump tool says %s", r.LSN, n, f[5])
		}
		if _, err := r.MainDataLen(); err != nil {
			t.Fatal(err)
		}
		at, kind, err := r.Time()
		if err != nil {
			t.Fatal(err)
		}
		text := ""
		if kind == CommitTime || kind == AbortTime {
			text = at.Format("2006-01-02 15:04:05.000000 UTC")
			times++
		}
		if text != strings.TrimSpace(f[6]) {
			t.Fatalf("record %s: time %q, dump tool says %q", r.LSN, text, f[6])
		}
	}
	if times < 10 {
		t.Errorf("only %d commits and aborts seen", times)
	}
}

// TestOpenGaussVectors takes formats.md §13.1(c).
func TestOpenGaussVectors(t *testing.T) {
	page := unhex(t, "74d0060001000000 0000005a00000000 0000000000000000 dbe10100 0000fc02 00000001 00200000")
	h, err := ParsePageHeader(page)
	if err != nil {
		t.Fatal(err)
	}
	want := PageHeader{Magic: 0xD074, Info: 6, Timeline: 1, Addr: 0x5A000000, SystemID: testSystem, SegSize: 16 << 20, PageSize: 8192}
	if h != want {
		t.Errorf("long header %+v, want %+v", h, want)
	}
	short, err := ParsePageHeader(unhex(t, "74d0050001000000 0020005a00000000 a6000000 00000000"))
	if err != nil || short.RemLen != 166 || short.Addr != 0x5A002000 || short.Size() != 24 {
		t.Errorf("short header %+v, %v", short, err)
	}
	seg := make([]byte, PageSize)
	copy(seg, page)
	copy(seg[0x28:], unhex(t, "2a000000 01000000 0000000000000000 3802005900000000 30080000 1ee10774 ff08 39 32000000000000 00"))
	f := OpenGauss()
	recs, err := readAll(t, memSource{"00000001000000000000005A": seg}, ReaderOptions{Format: f, Timeline: 1}, 0x5A000028)
	if len(recs) != 1 || recs[0].CRC != 1946673438 || recs[0].Rmid != 8 || recs[0].Info != 0x30 || recs[0].Prev != 0x59000238 {
		t.Errorf("record %+v, %v", recs, err)
	}
	if !errors.Is(err, ErrEndOfWAL) {
		t.Errorf("after the record: %v, want end of WAL", err)
	}
}

func TestCheckGoldenRanges(t *testing.T) {
	og, ogo := goldenOG(t)
	pg, pgo := goldenPG(t)
	for _, c := range []struct {
		name        string
		src         memSource
		o           ReaderOptions
		start, stop LSN
		records     int64
		recovery    string
	}{
		{"openGauss", og, ogo, 0x5A000148, 0x5B03D768, 11695, ""},
		{"PostgreSQL", pg, pgo, 0x9000D8, 0xBF9DB0, 3513, "2026-11-22 13:39:33.184801"},
		{"PostgreSQL inside first", pg, pgo, 0x900028, 0x900060, 2, "-"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, parallel := range []int{1, 4} {
				var opened []string
				o := CheckOptions{ReaderOptions: c.o, Parallel: parallel}
				if parallel == 1 {
					o.SegmentOpened = func(_ int, name string) { opened = append(opened, name) }
				}
				st, err := CheckRange(t.Context(), c.src, c.start, c.stop, o)
				if err != nil || st.Records != c.records {
					t.Errorf("parallel %d: %+v, %v; want %d records", parallel, st, err, c.records)
				}
				if parallel == 1 && len(opened) == 0 {
					t.Error("no segment was reported as opened")
				}
			}
			at, found, err := RecoveryTime(t.Context(), c.src, c.o, c.start, c.stop)
			if err != nil || found != (c.recovery != "-") {
				t.Fatalf("recovery time %v, %v, %v", at, found, err)
			}
			if c.recovery != "" && found && at.Format("2006-01-02 15:04:05.000000") != c.recovery {
				t.Errorf("recovery time %v, want %s", at, c.recovery)
			}
		})
	}
}

func TestServerTime(t *testing.T) {
	at := time.Date(2026, 11, 22, 8, 50, 37, 123456000, time.UTC)
	if got := ServerTime(ServerMicros(at)); !got.Equal(at) {
		t.Errorf("round trip gives %v", got)
	}
	if got := ServerTime(0); !got.Equal(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("epoch is %v", got)
	}
	if got := ServerTime(-1).Nanosecond(); got != 999999000 {
		t.Errorf("one before the epoch has %d ns", got)
	}
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}
