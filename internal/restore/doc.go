// Package restore brings a backup back into a data directory.
//
// It owns the choice of the backup, the checks before anything is written,
// the merging of a chain by page map (each block is written once, from the
// newest backup that has it), tablespace and external mappings, and the
// recovery settings (spec/server.md §6, spec/formats.md §5.7). It leaves
// damage to validate, the formats to blockfile and catalog, writing on the
// target to remote, and all words to internal/cli.
//
// Until everything is durable global/pg_control has another name, so a server
// refuses to start on a half-restored directory.
package restore
