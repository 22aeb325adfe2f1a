package ogdata

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"gsprobackup/internal/fsx"
	"gsprobackup/internal/wal"
	"gsprobackup/test/opengaussd/ogwal"
)

// TestStatement lays the WAL of two recorded statements (golden
// 07_archive_mode_pitr, [031] and [032]) and reads where records lie.
func TestStatement(t *testing.T) {
	c := newCluster(t, Options{NoDoubleWrite: true, NoRowCompressed: true, NoTablespaces: true, WALStart: 0x2D000000, NextXID: 12577})
	if _, err := c.SwitchWAL(); err != nil {
		t.Fatal(err)
	}
	if err := c.Statement(0x2E000030); err == nil {
		t.Error("8 bytes held a record")
	}
	long := wal.LSN(0x2E001800)
	for _, upTo := range [][]wal.LSN{{0x2E0000D8}, nil, {0x2E000300, long}} {
		if err := c.Statement(upTo...); err != nil {
			t.Fatal(err)
		}
	}
	opts := wal.ReaderOptions{Format: wal.OpenGauss(), Timeline: ogwal.Timeline, SegSize: ogwal.SegSize, SystemID: c.SystemID()}
	src := wal.Dir{FS: fsx.OS(), Path: filepath.Join(c.Dir(), "pg_xlog")}
	var got []string
	_, err := wal.Scan(context.Background(), src, opts, 0x2E000028, func(r *wal.Record) (bool, error) {
		kind := "change"
		if _, ends, err := r.Completion(); err != nil {
			return false, err
		} else if ends {
			kind = "commit"
		}
		got = append(got, fmt.Sprintf("%s %s of %d", r.LSN, kind, r.XID))
		return r.LSN < long, nil
	})
	want := []string{
		"0/2E000028 change of 12578", "0/2E0000D8 commit of 12578",
		"0/2E000110 commit of 12579",
		"0/2E000148 change of 12580", "0/2E000300 change of 12580", "0/2E001800 commit of 12580",
	}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%v\ngot  %q\nwant %q", err, got, want)
	}
	if xid := c.NextXID(); xid != 12581 {
		t.Errorf("next transaction is %d", xid)
	}
}
