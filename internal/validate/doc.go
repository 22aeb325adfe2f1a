// Package validate tells whether a backup can be trusted: every stored file,
// every page, the header map, the content list, the control file and the WAL
// between start and stop LSN.
//
// It owns the order of the checks (spec/formats.md §12), what counts as
// damage, and the status a checked backup gets (OK, CORRUPT, ORPHAN). It
// leaves the formats to blockfile, catalog, pgdata and wal, and the words to
// internal/cli. Unlike the C tool it counts a damaged non-data file as damage
// (docs/deviations.md).
package validate
