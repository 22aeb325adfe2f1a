package cli

import (
	"gsprobackup/internal/archive"
	"gsprobackup/internal/event"
)

// renderArchive has the words for events of internal/archive. A server writes
// them into its own log, so what goes well is not told by default.
func renderArchive(c *console, e event.Event) bool {
	switch e := e.(type) {
	case archive.Pushed:
		if e.Present {
			c.verbose("WAL file \"%s\" is already in the archive", e.Name)
		} else {
			c.verbose("WAL file \"%s\" pushed into the archive", e.Name)
		}
	case archive.PushFailed:
		c.warn("WAL file \"%s\" was not archived with this batch: %s", e.Name, errorText(e.Err))
	case archive.Fetched:
		c.verbose("WAL file \"%s\" copied from the archive", e.Name)
	case archive.DamagedBehind:
		c.warn("%s; recovery ends before it", errorText(e.Err))
	case archive.PrefetchFailed:
		c.warn("WAL segment \"%s\" was not prefetched: %s", e.Name, errorText(e.Err))
	default:
		return false
	}
	return true
}
