package e2e

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"gsprobackup/test/pgtest"
)

// The scripts below testdata/script are sessions as a user types them. They
// find in the environment:
//
//	B       a place for the catalog, which is not there yet
//	SRC     the data directory of a running server
//	HOST, PORT  where it listens
//	NEW     a directory to restore into
//	TS1     the location of its tablespace
//
// The command start DIR starts a server on a restored data directory and wants
// it to hold the source's tables.
func TestScripts(t *testing.T) {
	src := startSmall(t, 15)
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "script"),
		Setup: func(env *testscript.Env) error {
			dir := pgtest.TempDir(t)
			env.Setenv("B", filepath.Join(dir, "catalog"))
			env.Setenv("NEW", dir)
			env.Setenv("SRC", src.DataDir)
			env.Setenv("HOST", src.SocketDir)
			env.Setenv("PORT", fmt.Sprint(src.Port))
			env.Setenv("TS1", src.Tablespaces[0].Dir)
			env.Setenv(toolVar, toolPath)
			env.Setenv("TZ", "UTC")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"start": func(ts *testscript.TestScript, _ bool, args []string) {
				restored := pgtest.StartDir(t, 15, args[0])
				restored.WaitPrimary(context.Background())
				checkStatic(t, src.Checksums(context.Background()), restored.Checksums(context.Background()))
			},
		},
	})
}
