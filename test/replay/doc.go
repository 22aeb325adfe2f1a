// Package replay plays the recorded sessions of the real C tool again, with
// our tool in its place, and compares what both print.
//
// testdata has one transcript per recording, cut by cmd/trim out of
// ../shared/golden, and beside it a score: what must be there before a command
// (a catalog, a server, damage), what we print differently on purpose, and,
// where a command cannot be played, why. A command that no score mentions is
// played as it is. A score called TITLE@OTHER plays some commands of the
// transcript once more on another stage: on the recorded control files, where
// every figure must be C's.
//
//	transcript.go   the recorded commands and what came of them
//	score.go        directions, differences, reasons
//	substitute.go   what no two runs have in common, in one list
//	skeleton.go     help pages without their prose
//	stage.go        what directions do
//	log.go          the server's WAL and its archive, laid as recorded
//	shell.go        the commands around the tool: env, pipes, cat
//	interrupt.go    commands that are interrupted
//	world.go        the machine a session plays on
//
// walk_1.1 is no recording of ours but the walk-through of release 1.1 in
// ../shared/seed, completed from spec/cli.md.
//
// The rules of the interface themselves are tested in internal/cli.
package replay
