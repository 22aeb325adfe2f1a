package retention

import (
	"time"

	"gsprobackup/internal/catalog"
)

// Policy says which backups are wanted. A backup is expired when it violates
// every rule that is set.
type Policy struct {
	// Redundancy is how many FULL backups are kept with their increments,
	// the newest that are OK or DONE; 0 is no such rule.
	Redundancy uint32
	// Window is for how many days backups are kept, today included; 0 is no
	// such rule. A day is one of the calendar of now's zone.
	Window uint32
	// Elapsed counts the window in spans of 24 hours before now instead, as
	// release 1.1 does.
	Elapsed bool

	// Merge allows expired backups to be merged into the kept increments
	// that need them.
	Merge bool
	// Delete allows expired backups to be deleted.
	Delete bool
}

// IsSet tells whether there is a rule. Without one nothing expires.
func (p Policy) IsSet() bool { return p.Redundancy > 0 || p.Window > 0 }

// daySeconds is the length of a day without change of the clocks.
const daySeconds = 86400

// age is how many days ago t was, never negative; 0 for an unknown time.
func (p Policy) age(t, now time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	if p.Elapsed {
		return max(0, (now.Unix()-t.Unix())/daySeconds)
	}
	return max(0, dayNumber(now)-dayNumber(t.In(now.Location())))
}

// dayNumber counts the days of the calendar, whatever their length.
func dayNumber(t time.Time) int64 {
	y, m, d := t.Date()
	return time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Unix() / daySeconds
}

// insideWindow tells whether the window keeps a backup of time t.
func (p Policy) insideWindow(t, now time.Time) bool {
	if p.Elapsed {
		return t.Unix() >= now.Unix()-int64(p.Window)*daySeconds
	}
	return dayNumber(now)-dayNumber(t.In(now.Location())) < int64(p.Window)
}

// backupTime is the time a backup is judged by.
func backupTime(b *catalog.Backup) time.Time {
	if b.RecoveryTime.IsZero() {
		return b.StartTime()
	}
	return b.RecoveryTime
}

// pinned tells whether a pin is in force.
func pinned(b *catalog.Backup, now time.Time) bool { return b.ExpireTime.After(now) }

// pinDays is the length of a backup's pin, 0 for none.
func pinDays(b *catalog.Backup) int64 {
	if b.ExpireTime.IsZero() || b.RecoveryTime.IsZero() {
		return 0
	}
	return max(0, (b.ExpireTime.Unix()-b.RecoveryTime.Unix())/daySeconds)
}
