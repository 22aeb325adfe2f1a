package pgdata

import "testing"

func TestRelationPaths(t *testing.T) {
	gauss, pg := NewLayout(OpenGauss, 9), NewLayout(PostgreSQL, 17)
	pg.CatalogVersion = 202406281
	tests := []struct {
		layout   Layout
		path     string
		relation string
	}{
		{pg, "base/5/16402", "base/5/16402"},
		{pg, "base/5/16402.12", "base/5/16402"},
		{pg, "global/1262", "global/1262"},
		{pg, "pg_tblspc/16500/PG_17_202406281/5/16402.1", "pg_tblspc/16500/PG_17_202406281/5/16402"},
		{gauss, "base/16384/16421_compress", "base/16384/16421"},
		{gauss, "base/16384/16421.1_compress", "base/16384/16421"},
		{gauss, "base/16384/1.3", "base/16384/1"},
		{gauss, "pg_tblspc/16500/PG_9.2_201611171_og1/16384/16421.2", "pg_tblspc/16500/PG_9.2_201611171_og1/16384/16421"},
	}
	for _, tt := range tests {
		c := tt.layout.Classify(tt.path)
		if c.Kind != KindData && c.Kind != KindCompressed {
			t.Errorf("%s is no data file: %+v", tt.path, c)
		}
		if got := RelationOf(tt.path, c); got != tt.relation {
			t.Errorf("RelationOf(%s) = %s, want %s", tt.path, got, tt.relation)
		}
		if tt.layout.Family == PostgreSQL {
			if got := tt.layout.RelationPath(c.TablespaceOid, c.DBOid, c.Rel); got != tt.relation {
				t.Errorf("RelationPath of %s: %s, want %s", tt.path, got, tt.relation)
			}
		}
	}
	for dir, oids := range map[string][2]uint32{
		"base/5": {1663, 5}, "global": {1664, 0}, "pg_tblspc/7/PG_17_202406281/5": {7, 5},
	} {
		if got := pg.RelationPath(oids[0], oids[1], 0); got != dir {
			t.Errorf("directory %s: %s", dir, got)
		}
	}
}
