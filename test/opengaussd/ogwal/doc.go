// Package ogwal writes openGauss WAL for tests: enough record kinds that
// backups of a stand-in server have sound start, stop and recovery points.
//
// It is written from formats.md §10 and the recorded stream of a real backup
// (golden 11_wire/b_ptrack_stream_ha_01.txt) and shares no code with
// internal/wal but the LSN type and the segment names, so that a mistake there
// does not hide itself here. It leaves what the records mean to nobody: no
// server will ever replay them.
package ogwal
