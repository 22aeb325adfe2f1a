package opengaussd

import (
	"time"

	"gsprobackup/test/opengaussd/ogdata"
)

// Stored is the form of a stored password (server.md §1.4).
type Stored int

// Stored forms.
const (
	StoredSHA256 Stored = iota
	StoredMD5
	StoredCombined
	StoredSM3
)

// Method is the method of the pg_hba.conf line that fits a user.
type Method int

// Methods.
const (
	HBASHA256 Method = iota
	HBAMD5
	HBASM3
	HBATrust
	HBAReject
)

// User is a database role.
type User struct {
	Password   string
	Stored     Stored
	Method     Method
	Iterations int // auth_iteration_count; 0 means 10000
	// Sysadmin may create restore points, Replication may only start and stop
	// backups (server.md §2.2).
	Sysadmin, Replication bool
}

// Config says which server to play. The zero value of each field is what the
// golden server does.
type Config struct {
	Cluster *ogdata.Cluster
	// Users by name; nil means the golden user rep, password Repl@12345, with
	// both attributes.
	Users map[string]User
	// Databases that can be connected to besides those of the cluster.
	Databases []string

	// NoHAPort opens no second port; replication is on the normal one, as in
	// 1.1 (server.md §1.1).
	NoHAPort bool
	// NoThreadPool serves replication on the normal port too; with thread
	// pool it is refused there (server.md §1.2).
	NoThreadPool bool
	// RefuseMain refuses replication on the normal port also when there is no
	// HA port, as if that were behind a firewall.
	RefuseMain bool
	// HAPassword asks for a password on replication connections, as of a
	// client on another host; those of the server's own host are trusted.
	HAPassword bool
	// Standby plays a server in recovery. Its WAL grows by the test's hand.
	Standby bool
	// ArchiveMode is archive_mode=on; archiving is instantaneous.
	ArchiveMode bool
	// Slots are the existing physical replication slots.
	Slots []string
	// Version is the release that version() tells; "" means 6.0.2.
	Version string
	// FailedLoginAttempts locks an account; 0 means 10.
	FailedLoginAttempts int

	// Chunks are the sizes of the WAL payloads, used in turn; nil means up to
	// 8 MiB, cut at multiples of it (server.md §4.2).
	Chunks []int
	// SenderTimeout is wal_sender_timeout; 0 means 6 s.
	SenderTimeout time.Duration
	// Settings override or add what SHOW and current_setting tell.
	Settings map[string]string
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// The golden user (golden cluster_setup.txt).
const (
	GoldenUser     = "rep"
	GoldenPassword = "Repl@12345"
)

func (c *Config) fill() {
	if c.Users == nil {
		c.Users = map[string]User{GoldenUser: {Password: GoldenPassword, Sysadmin: true, Replication: true}}
	}
	if c.FailedLoginAttempts == 0 {
		c.FailedLoginAttempts = 10
	}
	if c.Version == "" {
		c.Version = "6.0.2"
	}
	if c.SenderTimeout == 0 {
		c.SenderTimeout = 6 * time.Second
	}
	if c.Now == nil {
		c.Now = time.Now
	}
}
