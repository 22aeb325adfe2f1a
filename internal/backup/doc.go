// Package backup takes a backup of a running cluster.
//
// It owns the order of things: make and lock the directory, put the server in
// backup mode, stream WAL, list and copy the data directory, stop, find the
// stop record, seal list and control file, sync (spec/server.md §3,
// spec/formats.md §1.2). It leaves page copying to pagecopy, SQL to server,
// WAL to wal, the catalog's files to catalog, the final check to validate, and
// all words to internal/cli.
package backup
