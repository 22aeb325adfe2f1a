// Package e2e holds the end-to-end tests: the real binary, as a user runs it,
// against real PostgreSQL servers. Everything the tests know of the tool is
// its command line, its exit status, its streams and its catalog; what a
// restored cluster must hold they compute from the load's journal and read
// from the source server.
//
// Run as root, server and tool drop to another user; see package pgserver.
package e2e
