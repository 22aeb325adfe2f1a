package cli

import (
	"gsprobackup/internal/catalog"
	"gsprobackup/internal/event"
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
	case walarchive.UnexpectedFile:
		c.warn("unexpected WAL file name \"%s\"", e.Name)
	default:
		return false
	}
	return true
}
