package e2e

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"

	"gsprobackup/test/pgtest"
)

// Without checksums and wal_log_hints VACUUM marks pages all-visible without
// giving them a new LSN. An increment that missed them would restore a
// visibility map that says more than the pages, and wrong answers later. DELTA
// stores all such pages then; WAL summaries name those that changed.
func TestIncrementKeepsVisibility(t *testing.T) {
	tests := []struct {
		mode     string
		major    int
		settings map[string]string
		small    bool // the increment is
	}{
		{"delta", 15, map[string]string{"wal_log_hints": "off"}, false},
		{"delta", 15, map[string]string{"wal_log_hints": "on"}, true},
		{"ptrack", 17, map[string]string{"summarize_wal": "on"}, true},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprint(tt.mode, tt.settings), func(t *testing.T) {
			ctx := context.Background()
			src := pgtest.Start(t, pgtest.Config{Major: tt.major, Settings: tt.settings})
			c := newCatalog(t, src)
			src.SQL(ctx, "CREATE TABLE seen AS SELECT i, md5(i::text) FROM generate_series(1, 20000) i")
			src.SQL(ctx, "CREATE TABLE static AS SELECT i, md5(i::text) FROM generate_series(1, 100000) i")
			src.SQL(ctx, "VACUUM static")
			full := c.backup()
			src.SQL(ctx, "VACUUM seen")
			b, _ := c.increment(tt.mode)
			data := filepath.Join(pgtest.TempDir(t), "data")
			c.restore(b.ID, data)
			restored := pgtest.StartDir(t, src.Major, data)
			restored.WaitPrimary(ctx)
			checkVisibility(t, restored)
			if small := b.DataBytes < full.DataBytes/4; small != tt.small {
				t.Errorf("the increment has %d bytes, the FULL %d", b.DataBytes, full.DataBytes)
			}
		})
	}
}
