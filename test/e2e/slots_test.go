package e2e

import (
	"context"
	"path/filepath"
	"testing"

	"gsprobackup/test/pgtest"
)

// With --backup-pg-replslot the slots of subscriptions come back, as with C,
// and the backup has the WAL from which they go on; no other slot does.
func TestReplicationSlots(t *testing.T) {
	ctx := context.Background()
	server := pgtest.Start(t, pgtest.Config{Major: 15, WALSegSizeMB: 1, Settings: map[string]string{"wal_level": "logical"}})
	for _, sql := range []string{
		"create table told (t text)", "create publication p for all tables",
		"select pg_create_logical_replication_slot('sub', 'pgoutput')",
		"select pg_create_logical_replication_slot('other', 'test_decoding')",
		"select pg_create_physical_replication_slot('standby', true)",
		"insert into told values ('before')", "select pg_switch_wal()", "insert into told values ('x')", "select pg_switch_wal()",
	} {
		server.SQL(ctx, sql)
	}
	c := newCatalog(t, server)
	c.backup()
	info := c.backup("--backup-pg-replslot", "--temp-slot")
	data := filepath.Join(pgtest.TempDir(t), "data")
	c.ok(c.on("validate")...)
	c.restore(info.ID, data)
	restored := pgtest.StartDir(t, 15, data, "wal_level=logical")
	restored.WaitPrimary(ctx)
	if slots := restored.SQL(ctx, "select slot_name from pg_replication_slots"); len(slots) != 1 || slots[0][0] != "sub" {
		t.Errorf("slots %v", slots)
	}
	got := restored.SQL(ctx, "select count(*) from pg_logical_slot_peek_binary_changes('sub', null, null, 'proto_version', '1', 'publication_names', 'p')"+
		" where position('before'::bytea in data) > 0")
	if got[0][0] != "1" {
		t.Errorf("%s messages with the row", got[0][0])
	}
}
