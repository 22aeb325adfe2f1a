package remote

import (
	"bytes"
	"context"
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"gsprobackup/internal/crc32c"
	"gsprobackup/internal/fsx"
	"gsprobackup/internal/pgdata"
)

// undoPage is a page as openGauss writes it.
func undoPage(block uint32, fill byte) []byte {
	p := soundPage(block, 1<<30, fill)
	binary.LittleEndian.PutUint16(p[8:], pgdata.PageChecksum(p, block, pgdata.OpenGauss))
	return p
}

// metaUnit is a unit of undo/undometa with n entries of size bytes.
func metaUnit(n, size int, fill byte) []byte {
	unit := append(bytes.Repeat([]byte{fill}, n*size), make([]byte, sumUnit-n*size)...)
	binary.LittleEndian.PutUint32(unit[n*size:], crc32c.Sum(unit[:n*size]))
	return unit
}

// halves makes the first n reads of a place see another second half, and counts
// the reads.
func halves(at int64, other []byte, n int, reads *int) *readHook {
	half := int64(len(other)) / 2
	return &readHook{FS: fsx.OS(), readAt: func(f fsx.File, p []byte, off int64) (int, error) {
		got, err := f.ReadAt(p, off)
		if *reads++; at >= off && at+2*half <= off+int64(got) && n > 0 {
			n--
			copy(p[at-off+half:], other[half:])
		}
		return got, err
	}}
}

func TestCopyMendsTornUnits(t *testing.T) {
	const first = 3 * 128
	pages := slices.Concat(undoPage(first, 1), undoPage(first+1, 2), make([]byte, pageSize), undoPage(first+3, 4), []byte("tail"))
	units := slices.Concat(metaUnit(7, 64, 1), metaUnit(7, 64, 2), metaUnit(1, 64, 3), metaUnit(15, 32, 4), make([]byte, sumUnit))
	noPage := bytes.Repeat([]byte{0x5A}, pageSize)
	tests := []struct {
		name    string
		content []byte
		units   Units
		at      int64  // what is torn
		other   []byte // where its second half comes from
		times   int
		reads   int // of the place, besides the first
	}{
		{"page", pages, PageUnits, pageSize, undoPage(first+1, 9), 3, 3},
		{"page that was zero", pages, PageUnits, pageSize, make([]byte, pageSize), 1, 1},
		{"zero page that comes", pages, PageUnits, 2 * pageSize, undoPage(first+2, 9), 1, 1},
		{"no page", slices.Concat(pages[:4*pageSize], noPage), PageUnits, 0, make([]byte, pageSize), 0, 0},
		{"not looked at", pages, NoUnits, pageSize, undoPage(first+1, 2), 1, 0},
		{"undo meta", units, SumUnits, sumUnit, metaUnit(7, 64, 9), 2, 2},
		{"spaces of undo meta", units, SumUnits, 3 * sumUnit, metaUnit(15, 32, 9), 1, 1},
	}
	for _, tt := range tests {
		path := filepath.Join(t.TempDir(), "00000.0000003")
		if err := os.WriteFile(path, tt.content, 0o600); err != nil {
			t.Fatal(err)
		}
		reads := 0
		r, err := testHost(halves(tt.at, tt.other, tt.times, &reads)).NewReader()
		if err != nil {
			t.Fatal(err)
		}
		var got bytesSink
		if _, err := r.CopyFile(context.Background(), CopyRequest{Path: path, Units: tt.units, FirstBlock: first}, &got); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		if !bytes.Equal(got, tt.content) || reads != 1+tt.reads {
			t.Errorf("%s: content as it is: %v; %d reads, want %d more", tt.name, bytes.Equal(got, tt.content), reads, tt.reads)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
}

// What stays bad is copied as it is, and a file of nothing else takes a bounded
// number of reads.
func TestCopyGivesUpMending(t *testing.T) {
	content := bytes.Repeat(undoPage(7, 1), 50)
	path := filepath.Join(t.TempDir(), "16384_fsm")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	reads := 0
	r, err := testHost(halves(0, nil, 0, &reads)).NewReader()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var got bytesSink
	_, err = r.CopyFile(context.Background(), CopyRequest{Path: path, Units: PageUnits}, &got)
	if err != nil || !bytes.Equal(got, content) || reads < tornAttempts || reads > tornBudget+10 {
		t.Errorf("%v; content as it is: %v; %d reads", err, bytes.Equal(got, content), reads)
	}
}

// Compressed extents, whose blocks have headers of pages, do not use up the
// reads that a torn page takes.
func TestCopyMendsBesideCompressedExtents(t *testing.T) {
	const first, extent, slice = 61, 128, 131072
	content := make([]byte, (first+2*extent)*pageSize)
	zero := make([]byte, pageSize)
	if _, err := pgdata.Extents128.Build(content[first*pageSize:(first+extent)*pageSize], 1024, 1, 0, [][]byte{zero, zero}); err != nil {
		t.Fatal(err)
	}
	for i := range extent - 1 { // chunks, as pages they are damaged
		copy(content[(first+i)*pageSize:], undoPage(7, 1))
	}
	torn := int64(first+extent+5) * pageSize
	copy(content[torn:], undoPage(slice+uint32(torn/pageSize), 3))
	path := filepath.Join(t.TempDir(), "5.1")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	reads := 0
	r, err := testHost(halves(torn, undoPage(slice+uint32(torn/pageSize), 4), 3, &reads)).NewReader()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var got bytesSink
	_, err = r.CopyFile(context.Background(), CopyRequest{Path: path, Units: PageUnits, FirstBlock: slice}, &got)
	if err != nil || !bytes.Equal(got, content) {
		t.Errorf("%v; content as it is: %v; %d reads", err, bytes.Equal(got, content), reads)
	}
}

// bytesSink keeps what comes.
type bytesSink []byte

func (s *bytesSink) Data(p []byte) error { *s = append(*s, p...); return nil }
func (s *bytesSink) Hole(n int64) error  { *s = append(*s, make([]byte, n)...); return nil }
