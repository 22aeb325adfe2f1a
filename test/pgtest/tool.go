package pgtest

import (
	"os"
	"sync"
	"testing"
)

// Tool builds gs_probackup once for the tests of a process that run at the same
// time and gives its path. The copy lives where User can reach it and goes away
// with the last test that asked.
func Tool(t testing.TB) string {
	t.Helper()
	tool.mu.Lock()
	defer tool.mu.Unlock()
	if tool.users == 0 {
		acc := User(t)
		dir, err := acc.TempDir("pgt-tool-")
		if err != nil {
			t.Fatal(err)
		}
		path, err := acc.BuildTool(dir)
		if err != nil {
			t.Fatal(err)
		}
		tool.dir, tool.path = dir, path
	}
	tool.users++
	t.Cleanup(releaseTool)
	return tool.path
}

var tool struct {
	mu        sync.Mutex
	users     int
	dir, path string
}

func releaseTool() {
	tool.mu.Lock()
	defer tool.mu.Unlock()
	if tool.users--; tool.users == 0 {
		os.RemoveAll(tool.dir)
	}
}
