// Package opengaussd is a stand-in for an openGauss 6.0.2 server in tests: it
// speaks the wire protocol of both ports, logs clients in with openGauss'
// password proofs, answers the statements a backup sends, streams WAL, and
// fails on demand. The data directory it serves is an ogdata.Cluster.
//
// Its answers are those of recordings (golden 11_wire, 12_server_sql) or of
// rules in spec/server.md; each rule names its source. A statement without a
// rule fails and is remembered: see Server.Unknown. It computes proofs on its
// own, from server.md §1.4, so that it can disagree with the product.
//
//	config.go     what server to play          auth.go     password challenges
//	server.go     listeners, life              session.go  SQL sessions
//	startup.go    startup packets, cancel      rules*.go   statements and sources
//	wire.go       messages                     backupmode.go  pg_start/stop_backup
//	faults.go     failures on demand           walsender.go   replication
package opengaussd
