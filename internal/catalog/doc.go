// Package catalog is the backup catalog on disk: instances, backups, their
// states, locks and metadata files.
//
// It owns the directory layout (spec/formats.md §1), pg_probackup.conf (§2),
// backup.control (§3), database_map (§8.3), and, in sub-packages, the
// key = value syntax (keyfile), backup_content.control (contentlist, §4) and
// backup.pid (lock, §1.4). It leaves the stored files to blockfile, the rules
// which backup may do what to the use cases, and every word for people to
// internal/cli: what is only worth a warning is emitted as an event.
//
//	B/backups/I/pg_probackup.conf
//	B/backups/I/ID/backup.control            0600
//	              /backup_content.control    0600
//	              /page_header_map           0600
//	              /backup.pid                0600, while in use
//	              /database/                 0700
//	              /external_directories/externaldirN/
//	B/wal/I/
package catalog
