package cli

import "strings"

// advice is the next step after an error whose package gives none: its words
// are the C tool's, and the step is often an option of this floor.
type advice struct {
	// in is a part of the error's text.
	in, hint string
}

// adviceOn lists what people meet. The first row that fits counts.
func adviceOn() []advice {
	return []advice{
		{"required parameter not specified: BACKUP_PATH", "name the catalog with -B, or in the variable BACKUP_PATH"},
		{"required parameter not specified: --instance", "show -B BACKUP_PATH lists the instances"},
		{"equired parameter not specified: PGDATA", "name the data directory with -D, or once for all with set-config -D"},
		{"required parameter not specified: BACKUP_MODE", "choose -b FULL, -b PTRACK or -b DELTA"},
		{"required parameter is not specified: --backup-id", "show --instance=NAME lists the backups"},
		{"You must specify parameter (-i, --backup-id)", "show --instance=NAME lists the backups"},
		{"does not exist in this backup catalog", "show -B BACKUP_PATH lists the instances, add-instance makes one"},
		{"backup catalog already exist and it's not empty", "a catalog is made in an empty directory; this one may be in use already: try show"},
		{"Directory does not exist: '", "make the catalog with init first"},
		{"backup directory already exists", "del-instance removes an instance with all its backups; or choose another name"},
		{"Cannot specify compress-level option alone", "add --compress-algorithm, or set it with set-config"},
		{"Syntax error in \"", "the line is in pg_probackup.conf or in the backup.control of a backup: correct it there"},
		{"Invalid option \"", "the file was written by a newer release, or by hand: correct it, or use the newer program"},
		{"Cannot lock backup", "another gs_probackup works on this backup: wait until it has ended"},
		{"Lock file \"", "if no gs_probackup is running, remove the file"},

		{"no password supplied", "give it with -W, or run on a terminal and without -w"},
		{"could not connect to database", "check -h, -p, -U and -d, and whether pg_hba.conf lets this user in; the server's log has the reason"},
		{"stream connect has failed", "replication needs a line in pg_hba.conf and free max_wal_senders; openGauss serves it on port + 1"},
		{"connected instance system id is", "the connection leads to another cluster: check -h and -p"},
		{"but target backup directory system id is", "-D is another cluster's directory, or the cluster was made anew: then use add-instance with a new name"},
		{"System identifier mismatch", "the connections lead to two clusters: check -h and -p"},
		{"Timeline identifier mismatch", "the server was promoted meanwhile: take the backup again"},
		{"PGDATA is almost empty", "check -D, and run as the user of the server"},
		{"There is not enough remaining disk space", "delete expired backups, compress, or move the catalog; delete works on a full disk"},
		{"Create new full backup before an incremental one", "take a backup with -b FULL; show tells the state of those there are"},
		{"could not be streamed in", "the server's log tells why; --archive-timeout waits longer"},
		{"could not be archived in", "look at the server's archive_command and its log; --archive-timeout waits longer"},
		{"Backup files restoring failed", "the destination is not complete: empty it before the next attempt"},
		{"Data files transferring failed", "what failed is told above; the backup is marked ERROR and may be deleted"},

		{"estore destination is not empty", "restore into an empty directory, or over it with -I checksum"},
		{"tablespace destination is not empty", "give the tablespace another place with -T OLDDIR=NEWDIR"},
		{"External directory is not empty", "give it another place with --external-mapping=OLDDIR=NEWDIR, or use --skip-external-dirs"},
		{"doesn't have an entry in tablespace_map file", "the left side of -T is the tablespace's place on the server that was backed up"},
		{"Requested backup", "show --instance=NAME lists the backups and how far each can be recovered"},
		{"Backup satisfying target options is not found", "show --instance=NAME lists the backups and how far each can be recovered"},
		{" is corrupt.", "validate -i tells the damaged files; choose another backup, or --force to save what is readable"},
		{" is orphan.", "a backup below it is bad or missing: validate tells which; choose another chain"},
		{"cannot be restored because it is not valid", "choose another backup, or --force to save what is readable"},
		{"Failed to find backup", "show --instance=NAME lists the backups"},
		{"Target backup", "show --instance=NAME lists the backups"},
		{"Merge target is full backup and has multiple direct children", "name with -i the increment to merge up to"},
		{"to merge: ", "merge needs room for the new files beside the old ones: delete expired backups first"},
		{"could not open log file", "the log directory must exist or be one level below an existing one, and be ours to write to"},

		{"Permission denied", "run as the user of the database server, who owns its files and the catalog"},
		{"permission denied", "run as the user of the database server, who owns its files and the catalog"},
		{"No space left on device", "delete expired backups, or move the catalog; delete works on a full disk"},
		{"no space left on device", "delete expired backups, or move the catalog; delete works on a full disk"},
		{"Read-only file system", "the catalog is mounted for reading only; show, validate and restore work there"},
	}
}

// hintFor is the next step after an error of that text, or "".
func hintFor(text string) string {
	for _, a := range adviceOn() {
		if strings.Contains(text, a.in) {
			return a.hint
		}
	}
	return ""
}
