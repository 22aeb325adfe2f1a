package cli

import (
	"fmt"
	"strings"
	"time"

	"gsprobackup/internal/catalog"
	"gsprobackup/internal/event"
	"gsprobackup/internal/optvalue"
	"gsprobackup/internal/wal/walarchive"
)

// renderCatalog has the words for events of internal/catalog: what is odd
// about a catalog and yet no failure (spec/cli.md §2, §8.1).
func renderCatalog(c *console, e event.Event) bool {
	switch e := e.(type) {
	case catalog.UnknownOption:
		c.warn("Invalid option \"%s\" in file \"%s\"", e.Key, e.File)
	case catalog.InvalidStatus:
		c.warn("Invalid STATUS \"%s\"", e.Text)
	case catalog.InvalidLSN:
		c.warn("Invalid %s \"%s\"", e.Which, e.Text)
	case catalog.ValueRepaired:
		c.warn("Repaired value of option \"%s\" in file \"%s\", it reads \"%s\" now", e.Key, e.File, e.Value)
	case catalog.TimesDrifted:
		c.warn("Times in control file \"%s\" are off by %d hours, they are read as they were", e.Path, -e.Hours)
	case catalog.ControlUnreadable:
		text := e.Text
		if !strings.Contains(text, e.Path) {
			// A syntax error or a bad value ends a run of the C tool, which
			// does not say where it is.
			text = fmt.Sprintf("Control file \"%s\" is corrupted: %s", e.Path, text)
		}
		c.warn("%s", text)
	case catalog.IDMismatch:
		c.warn("backup ID in control file \"%s\" doesn't match name of the backup folder \"%s\"", e.ID, e.Path)
	case catalog.NoFullParent:
		if e.Missing != 0 {
			c.warn("Backup %s is missing", e.Missing)
		} else {
			c.warn("Failed to find parent FULL backup for %s", e.Of)
		}
	case catalog.DirectoryUnreadable:
		c.warn("cannot open directory \"%s\": %s", e.Path, e.Text)
	case catalog.InstanceInaccessible:
		c.warn("Failed to access directory \"%s\": %s", e.Path, e.Text)
	case catalog.Deleting:
		// A backup without recovery time shows the epoch.
		t := e.Backup.RecoveryTime
		if t.IsZero() {
			t = time.Unix(0, 0)
		}
		c.info("Delete: %s %s", e.Backup.ID, optvalue.FormatTime(t, c.env.Location))
	case catalog.FileDeleting:
		if c.perFile { // on the console in every release (spec/cli.md §7.6)
			c.info("Progress: (%d/%d). Delete file \"%s\"", e.Done, e.Total, e.Path)
		}
	case walarchive.UnexpectedFile:
		c.warn("unexpected WAL file name \"%s\"", e.Name)
	default:
		return false
	}
	return true
}
