// Package archive puts finished WAL of a server into an instance's archive and
// gives it back: the work of archive_command and restore_command.
//
// It owns the names that may be archived, the atomic and durable storing of a
// file that never replaces another one, batches by the server's archive_status,
// the checks of a segment on both ways, and prefetching. It leaves the layout
// of WAL to internal/wal, what an archive holds to wal/walarchive, purging to
// retention and the server's settings to restore. The C tool has nothing of
// the kind (spec/formats.md §10.6); option names are those of pg_probackup.
//
//	B/wal/INSTANCE/
//	  NAME, NAME.gz            a segment or another archived file
//	  NAME.part                being written; flocked by its writer, so one
//	                           that is not locked is left over from a crash
//
// A file gets its name by link(2), which fails when the name is taken; two
// servers that archive different content under one name cannot both succeed.
// The CRC-32C of the content is kept as extended attribute
// user.gs_probackup.crc32c where the file system has them.
package archive
