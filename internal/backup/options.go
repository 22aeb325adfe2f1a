package backup

import (
	"context"
	"strings"
	"time"

	"gsprobackup/internal/catalog"
	"gsprobackup/internal/compress"
	"gsprobackup/internal/event"
	"gsprobackup/internal/fsx"
	"gsprobackup/internal/remote"
	"gsprobackup/internal/server"
)

// Options say what to back up and how.
type Options struct {
	Instance *catalog.Instance
	// CatalogRoot must not lie in an external directory.
	CatalogRoot string
	Mode        catalog.Mode
	// PGData is the absolute path of the data directory on its host.
	PGData string
	// SystemID is the instance's configured system identifier.
	SystemID uint64

	Algorithm compress.Algorithm
	Level     int
	Threads   int

	// Smooth spreads the checkpoint at the start (-C).
	Smooth bool
	// Slot is a replication slot to stream with; TempSlot makes one for this
	// backup where the server can.
	Slot     string
	TempSlot bool
	// BackupLog and BackupReplSlots include what is left out by default.
	BackupLog       bool
	BackupReplSlots bool
	// ExternalDirs are absolute directories to back up along (-E), ExternalList
	// is how they were given, for the record; it may be empty.
	ExternalDirs []string
	ExternalList string

	NoSync              bool
	NoValidate          bool
	SkipBlockValidation bool

	Note string
	// NoNote says so: "none" was given as the note.
	NoNote bool
	// TTL pins the backup for so long from its recovery time; ExpireTime
	// until then. Zero is not pinned.
	TTL        time.Duration
	ExpireTime time.Time

	// ArchiveTimeout limits each wait for the server and for WAL; 0 means
	// five minutes.
	ArchiveTimeout time.Duration
	// RWTimeout is how long the stream may stay silent.
	RWTimeout time.Duration
	// Remote tells that Host is another machine.
	Remote bool
	// WithoutStorage and WithoutS3 leave the last groups of the control file
	// out, of which the C tool warns before 5.0.0 and 6.0.0.
	WithoutStorage, WithoutS3 bool
}

// defaultArchiveTimeout is the C tool's (spec/cli.md §3.2).
const defaultArchiveTimeout = 5 * time.Minute

// externalText is what the control file has of the external directories.
func (o Options) externalText() string {
	if len(o.ExternalDirs) > 0 && o.ExternalList != "" {
		return o.ExternalList
	}
	return strings.Join(o.ExternalDirs, ":")
}

func (o Options) archiveTimeout() time.Duration {
	if o.ArchiveTimeout <= 0 {
		return defaultArchiveTimeout
	}
	return o.ArchiveTimeout
}

// Deps are the things a backup works with.
type Deps struct {
	FS   fsx.FS // the catalog's
	Host remote.Host
	// Connect opens the SQL connection. It is called once, after the backup
	// directory exists, and may ask a person for a password.
	Connect func(context.Context) (*server.Conn, error)
	Sink    event.Sink
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}
