// Package merge turns a chain of backups into one FULL backup with the ID of
// its last member (spec/server.md §7.4, spec/formats.md §3.5, §5.8).
//
// It owns the choice of the chain, what is kept in place, copied or packed
// anew, and the order of steps that lets a killed merge be finished. It leaves
// the formats to blockfile and catalog, the check of the chain and of the
// result to validate, deleting an increment to catalog, and every word for
// people to internal/cli.
//
// # Order of the work
//
//	1  stage    every new stored file is written beside the old one
//	            (<file>_tmp2, the C tool's name), synced, and noted in the
//	            journal with its page headers in page_header_map_tmp.
//	            Statuses are as before: until now nothing has happened to
//	            any backup, and a failure leaves all of them usable.
//	2  commit   FULL and increments say MERGING; the staged files get their
//	            names; the header map, the list and the control file follow.
//	3  check    the result is validated while the increments are there.
//	4  MERGED   the increments are deleted, oldest first, the directory is
//	            renamed, the control file says OK.
//
// Without room for all new files at once, files are committed as they are
// staged, as the C tool does; the chain then says MERGING from the start.
//
// The journal is the list of the result as far as it is known. A rerun takes
// what it notes as done, if sizes and header arrays agree. A merge begun by
// the C tool, or taken up by it in between, has no journal or one that does
// not agree: then every file of the FULL is known by its CRC to be the old
// one, or else has the destination's algorithm, and is read frame by frame.
// While the FULL says MERGING its control file has no content-crc, so that the
// old list and the new one are both readable, for C too.
//
// Stored pages are copied as they are when the algorithm stays the same. They
// were checked by the validation of the chain just before, and are once more
// in the result.
package merge
