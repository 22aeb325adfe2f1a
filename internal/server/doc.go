// Package server talks to the database server being backed up.
//
// It owns connecting (parameters, passwords, TLS, telling the server families
// apart), openGauss' authentication (proofs in gaussauth), the SQL that a
// backup needs behind one Flavor per server family, and replication
// connections up to the raw messages of a WAL stream. It emits events for
// queries, notices and cancel requests.
//
// It leaves the meaning of WAL messages to internal/wal, the order of a
// backup's steps and its time-outs to internal/backup, prompting on a terminal
// and all text output to internal/cli.
//
// # Telling the families apart
//
// Every first connection asks for protocol 3.51, openGauss' own version. An
// openGauss server takes it; PostgreSQL 11 and newer answers with a
// NegotiateProtocolVersion message before it asks for a password and goes on
// with its own version. So the family is known, on the first connection,
// before any password is chosen or sent (spec/server.md §1.6). A server that
// refuses the version altogether is tried again with 3.0.
//
// # Concurrency
//
// A Conn may be used from several goroutines; statements run one after the
// other. A ReplConn belongs to one goroutine, except that CopyStream.Send may
// be called while another goroutine is in Receive.
package server
