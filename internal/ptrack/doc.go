// Package ptrack answers which blocks of a relation changed since a parent
// backup.
//
// It owns the block bitmaps and the sources that fill them: the changed block
// maps (CBM) of openGauss and the WAL summaries of PostgreSQL 17. It leaves
// the SQL to internal/server, which implements the small interfaces here, the
// choice of the parent to internal/backup, and the third way, looking at each
// page's LSN, to the reader of pages (remote.Floor).
//
// Both sources report a range of WAL, from the start position of the parent
// to the start position of the backup, with block numbers of whole relations.
// They are kept as bitmaps, 128 bytes for each touched piece of 8 MiB, and cut
// to the blocks of one file on demand. A block counts as changed when it
//
//   - is named by the source,
//   - lies behind a length the relation was cut to in the range: it may have
//     come back as a zero page, which no WAL tells,
//   - lies behind the length that the parent recorded for the file: likewise,
//   - belongs to a relation, or to a database, that was made or dropped in the
//     range: a file of that name in the parent is another one, or its pages
//     came by file copy without WAL.
//
// Each of these would otherwise bring old rows back to life on restore, since
// a chain is restored block by block from the newest backup that has it.
package ptrack
