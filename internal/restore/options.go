package restore

import (
	"time"

	"gsprobackup/internal/catalog"
	"gsprobackup/internal/event"
	"gsprobackup/internal/fsx"
	"gsprobackup/internal/remote"
)

// Mapping moves a directory: everything restored to Old goes to New. Both are
// clean absolute paths.
type Mapping struct{ Old, New string }

// Options say what to restore where.
type Options struct {
	Instance *catalog.Instance
	// BackupID is the backup to restore; 0 is the newest that fits Target.
	BackupID catalog.ID
	PGData   string
	// SystemID is the instance's configured system identifier.
	SystemID uint64
	Target   Target
	Threads  int

	Tablespaces  []Mapping // -T
	Externals    []Mapping // --external-mapping
	SkipExternal bool

	// IncludeDatabases are the databases to restore, or ExcludeDatabases
	// those to leave out; at most one of them is given. The templates are
	// always restored.
	IncludeDatabases, ExcludeDatabases []string

	// Incremental says how to use what is in the directory already.
	Incremental Incremental

	// Force restores backups whose status or validation says no.
	Force               bool
	NoValidate          bool
	SkipBlockValidation bool
	NoSync              bool

	// RestoreCommand is how the server fetches archived WAL; "none" for no
	// command, "" for archive-get of this program where archived WAL is
	// needed.
	RestoreCommand string
	// Program is the absolute path of this program, "" if the server could
	// not run it.
	Program string
}

// Deps are the things a restore works with.
type Deps struct {
	FS   fsx.FS // the catalog's
	Host remote.Host
	Sink event.Sink
	Now  func() time.Time
}

func (o Options) validates() bool { return !o.NoValidate && !o.Force }

// mapped applies mappings by exact path.
func mapped(list []Mapping, dir string) string {
	for _, m := range list {
		if m.Old == dir {
			return m.New
		}
	}
	return dir
}
