// Command gs_probackup backs up openGauss and PostgreSQL clusters into a
// catalog, in the manner of openGauss' tool of the same name.
//
// It owns nothing but the process: everything else is internal/cli.
package main

import (
	"os"
	"runtime"
	"runtime/debug"

	"gsprobackup/internal/cli"
)

// Set at link time: -ldflags "-X main.build=1a2b3c4d -X main.date=…". What is
// empty is taken from the build information of the Go tool.
var (
	build string // hash of the commit, 8 hexadecimal digits
	date  string // "YYYY-MM-DD HH:MM:SS"
)

// Most of a large heap are file lists, which stay, and the default would let
// it grow to twice their size: gcPercent keeps it near. Most of a small heap are
// buffers that come and go, and it would be collected every few megabytes of
// them: ballast counts as heap but is never touched, so it takes no memory, and
// leaves room for its gcPercent, 16 MB.
const (
	gcPercent = 25
	ballast   = 64 << 20 // bytes
)

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	weight := make([]byte, ballast)
	env := cli.OSEnv()
	env.Build = cli.ReadBuild(build, date)
	code := cli.Run(os.Args, cli.OSStreams(), env)
	runtime.KeepAlive(weight)
	os.Exit(code)
}
