package cli

import (
	"gsprobackup/internal/event"
	"gsprobackup/internal/server"
)

// renderServer has the words for events of internal/server.
func renderServer(c *console, e event.Event) bool {
	switch e := e.(type) {
	case server.QuerySent:
		c.verbose("(query) %s", e.SQL)
		for i, arg := range e.Args {
			c.verbose("\t(param:%d) = %s", i, arg)
		}
	case server.Notice:
		// libpq prints it by itself, past levels and log file.
		c.log.Raw(e.Text)
	case server.CancelSent:
		c.warn("Cancel request sent")
	case server.ReplicationCommandFailed:
		c.warn("Could not send replication command \"%s\": %s", e.Command, e.Message)
	case server.StaleTablespaceMap:
		c.warn("A lost backup left tablespace_map in the data directory, it was cleared")
	default:
		return false
	}
	return true
}
