package cli

import (
	"gsprobackup/internal/catalog/lock"
	"gsprobackup/internal/event"
)

// renderLock has the words for events of internal/catalog/lock (spec/cli.md
// §6).
func renderLock(c *console, e event.Event) bool {
	switch e := e.(type) {
	case lock.ProcessAlive:
		c.warn("Process %d is using backup %s and still is running", e.PID, e.Backup)
	case lock.ProcessGone:
		c.warn("Process %d which used backup %s no longer exists", e.PID, e.Backup)
	case lock.ProcessForeign:
		c.warn("Failed to send signal 0 to a process %d, this may be a kernal process", e.PID)
	case lock.Torn:
		if e.Text == "" {
			c.warn("Lock file \"%s\" is empty", e.Path)
		} else {
			c.warn("Bogus data in lock file \"%s\": \"%s\"", e.Path, e.Text)
		}
	case lock.InUse:
		c.warn("Backup %s is the parent of a backup that is being taken", e.Backup)
	case lock.SharedProcessAlive:
		c.warn("Process %d is using backup %s in shared mode, and is still running", e.PID, e.Backup)
	default:
		return false
	}
	return true
}
