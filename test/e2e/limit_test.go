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
	c.ok(c.on("set-config", "--limit-rate=20kB")...)
	ctx, cancel := context.WithTimeout(context.Background(), hangGuard)
	defer cancel()
	cmd := tool(ctx, c.backupArgs("-j", "2")...)
	var lifted result
	res := finish(t, ctx, cmd, func() {
		for all := c.list(); (len(all) == 0 || all[0].StartLSN == "0/0") && ctx.Err() == nil; all = c.list() {
			<-time.After(10 * time.Millisecond) // the backup is not in the copy yet
		}
		lifted = run(t, c.on("set-config", "--limit-rate=0")...)
	})
	if res.code != 0 || lifted.code != 0 || !strings.Contains(res.stderr, "LOG: There is no limit any more") {
		t.Errorf("%v\n%v", res, lifted)
	}
	if b := c.newest(); b.Status != "OK" {
		t.Errorf("%+v", b)
	}
}
