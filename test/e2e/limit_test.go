package e2e

import (
	"context"
	"strings"
	"testing"
	"time"
)

// A stored limit holds, and set-config changes it for a backup that runs: at
// the first speed this one would take longer than the test may.
func TestLimitRate(t *testing.T) {
	t.Parallel()
	src := startSmall(t, 15)
	c := newCatalog(t, src)
	res := c.slowBackup(func(context.Context) {})
	if res.code != 0 || !strings.Contains(res.stderr, "LOG: There is no limit any more") {
		t.Error(res)
	}
	if b := c.newest(); b.Status != "OK" {
		t.Errorf("%+v", b)
	}
}

// slowBackup takes a FULL at a rate at which it would take longer than a test
// may, calls during when the server has begun the backup, and lifts the limit.
func (c *catalog) slowBackup(during func(context.Context)) result {
	c.t.Helper()
	c.ok(c.on("set-config", "--limit-rate=20kB")...)
	ctx, cancel := context.WithTimeout(context.Background(), hangGuard)
	defer cancel()
	return finish(c.t, ctx, tool(ctx, c.backupArgs("-j", "2")...), func() {
		for all := c.list(); (len(all) == 0 || all[0].StartLSN == "0/0") && ctx.Err() == nil; all = c.list() {
			<-time.After(10 * time.Millisecond)
		}
		during(ctx)
		c.ok(c.on("set-config", "--limit-rate=0")...)
	})
}
