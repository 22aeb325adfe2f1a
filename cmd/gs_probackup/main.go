// Command gs_probackup backs up openGauss and PostgreSQL clusters into a
// catalog, in the manner of openGauss' tool of the same name.
//
// It owns nothing but the process: everything else is internal/cli.
package main

import (
	"os"
	"runtime/debug"

	"gsprobackup/internal/cli"
)

// Set at link time: -ldflags "-X main.build=1a2b3c4d -X main.date=…". What is
// empty is taken from the build information of the Go tool.
var (
	build string // hash of the commit, 8 hexadecimal digits
	date  string // "YYYY-MM-DD HH:MM:SS"
)

// gcPercent trades a little time for memory: most of the heap are file lists,
// which stay, and the default would let it grow to twice their size.
const gcPercent = 50

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	env := cli.OSEnv()
	env.Build = cli.ReadBuild(build, date)
	os.Exit(cli.Run(os.Args, cli.OSStreams(), env))
}
