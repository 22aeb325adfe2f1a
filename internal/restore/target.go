package restore

import (
	"math"
	"time"

	"gsprobackup/internal/catalog"
	"gsprobackup/internal/pgdata"
	"gsprobackup/internal/usererr"
	"gsprobackup/internal/wal"
)

// Target says up to where the restored server shall recover. At most one of
// Time, XID, LSN, Name, Immediate and Latest is set; the text forms are kept
// because the server gets them as the user typed them (spec/formats.md §8.4).
type Target struct {
	TimeText  string
	Time      time.Time
	XIDText   string
	XID       uint64
	LSNText   string
	LSN       wal.LSN
	Name      string
	Immediate bool // the end of the backup
	Latest    bool // the end of the archived WAL
	// Inclusive is nil when not given.
	Inclusive *bool
	// Timeline is the timeline to recover along, 0 for the backup's own.
	Timeline wal.Timeline
	// NewestTimeline is the newest one that branched off the backup's.
	NewestTimeline bool
	// TimeISO is Time for messages.
	TimeISO string
}

// IsZero tells that no target was asked for.
func (t Target) IsZero() bool {
	return t.TimeText == "" && t.XIDText == "" && t.LSNText == "" && t.Name == "" && !t.Immediate && !t.Latest
}

// inclusive tells whether the record at the target is applied; the servers'
// default is yes.
func (t Target) inclusive() bool { return t.Inclusive == nil || *t.Inclusive }

// position tells whether the target is a place in the log, which archived WAL
// either holds or not.
func (t Target) position() bool { return t.TimeText != "" || t.XIDText != "" || t.LSNText != "" }

// Check applies the rules between target options (spec/cli.md §4.6).
func (t Target) Check() error {
	n := 0
	for _, set := range []bool{t.TimeText != "", t.XIDText != "", t.LSNText != "", t.Name != "", t.Latest, t.Immediate} {
		if set {
			n++
		}
	}
	if n > 1 {
		return usererr.New("At most one of '--recovery-target', '--recovery-target-name', '--recovery-target-time', '--recovery-target-xid' or '--recovery-target-lsn' options can be specified")
	}
	if t.Inclusive != nil && *t.Inclusive && t.TimeText == "" && t.XIDText == "" && t.LSNText == "" {
		return usererr.New("The '--recovery-target-inclusive' option can be applied only when either of '--recovery-target-time', '--recovery-target-xid' or '--recovery-target-lsn' options is specified")
	}
	return nil
}

// SatisfiedBy tells whether recovery from b can reach the target: b must end
// at or before it (spec/server.md §6.2 "Choice").
func (t Target) SatisfiedBy(b *catalog.Backup) bool {
	switch {
	case t.XIDText != "":
		return b.RecoveryXID <= t.XID
	case t.TimeText != "":
		return !b.RecoveryTime.After(t.Time)
	case t.LSNText != "":
		return b.StopLSN <= t.LSN
	case t.Name != "":
		return b.RecoveryName == t.Name
	}
	return true
}

// For is the target as b's server counts. PostgreSQL's WAL and users have 32 bits
// of a transaction's number, a backup has all 64: the one nearest to the
// backup's is meant.
func (t Target) For(b *catalog.Backup, family pgdata.Family) Target {
	if family == pgdata.PostgreSQL && t.XIDText != "" && t.XID <= math.MaxUint32 {
		full := int64(b.RecoveryXID) + int64(int32(uint32(t.XID)-uint32(b.RecoveryXID)))
		t.XID = uint64(max(full, int64(t.XID)))
	}
	return t
}

// sameXID tells whether a record is of a transaction.
func sameXID(family pgdata.Family, recorded, wanted uint64) bool {
	if family == pgdata.PostgreSQL {
		return uint32(recorded) == uint32(wanted)
	}
	return recorded == wanted
}

// Beyond tells whether the target lies behind the end of b, so that archived
// WAL and recovery settings are needed to reach it.
func (t Target) Beyond(b *catalog.Backup) bool {
	switch {
	case t.XIDText != "":
		return t.XID > b.RecoveryXID
	case t.TimeText != "":
		return t.Time.After(b.RecoveryTime)
	case t.LSNText != "":
		return t.LSN > b.StopLSN
	}
	return t.Name != "" || t.Immediate || t.Latest
}
