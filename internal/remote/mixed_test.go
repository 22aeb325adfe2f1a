package remote

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"gsprobackup/internal/fsx"
	"gsprobackup/internal/pgdata"
)

// Compressed extents lie 128 pages apart, in each slice at its own offset.
func TestMixedInfo(t *testing.T) {
	t.Parallel()
	extent := make([]byte, pgdata.Extents128.Size())
	zero := make([]byte, pgdata.BlockSize)
	if _, err := pgdata.Extents128.Build(extent, 1024, 1, 0, [][]byte{zero, zero}); err != nil {
		t.Fatal(err)
	}
	const slice = 131072
	for _, tt := range []struct {
		name  string
		pages []int64 // where extents begin
		want  uint32
	}{
		{"3", []int64{4157, 4157 + 128, 4157 + 640}, 1},
		{"3", []int64{61, 4156, 4158}, 0}, // before the first, and at no extent's place
		{"5.1", []int64{61, slice - 67 - 128}, 1},
		{"5.1", []int64{slice - 67 - 128}, 1},
		{"4.12", []int64{0, 128}, 0},
		{"3", nil, 0},
	} {
		name := filepath.Join(t.TempDir(), tt.name)
		f, err := os.Create(name)
		for _, p := range tt.pages {
			if _, werr := f.WriteAt(extent, p*pgdata.BlockSize); werr != nil {
				err = errors.Join(err, werr)
			}
		}
		if err = errors.Join(err, f.Close()); err != nil {
			t.Fatal(err)
		}
		info, err := Local(fsx.OS()).CompressedInfo(context.Background(), name)
		if err != nil || info.Blocks != tt.want || info.Layout != pgdata.MixedOf7 {
			t.Errorf("%s with extents at %v: %+v, %v", tt.name, tt.pages, info, err)
		}
	}
	for name, want := range map[string]bool{"3": true, "4.1": true, "5": true, "2": false, "1.1": false, "33": false, "3_fsm": false, "3.x": false} {
		if isSegmentStorage("base/5/"+name) != want {
			t.Errorf("%s: %t", name, !want)
		}
	}
}
