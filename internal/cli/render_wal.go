package cli

import (
	"path/filepath"
	"strings"

	"gsprobackup/internal/event"
	"gsprobackup/internal/wal"
	"gsprobackup/internal/wal/walstream"
)

// renderWAL has the words for events of the WAL receiver. The C tool's
// receiver prints them to stderr by itself, past levels and log file, behind
// a line of 100 blanks that it returns over (spec/cli.md §7.2). One write per
// line here, so that messages of other goroutines do not cut it in two.
func renderWAL(c *console, e event.Event) bool {
	switch e := e.(type) {
	case walstream.StreamStarted:
		slot := ""
		if c.slot != "" {
			slot = "SLOT \"" + c.slot + "\" "
		}
		c.receiverLine("send START_REPLICATION " + slot + e.LSN.String() + " success")
	case walstream.KeepaliveReceived:
		c.receiverLine("keepalive message is received")
	case walstream.SegmentPartialLeft:
		c.segmentNotRenamed(e.Path)
	case walstream.SegmentPartialRenamed:
		c.segmentNotRenamed(e.Path)
	case walstream.ConfigSkipped:
		c.verbose("configuration file in the stream skipped")
	case walstream.EmptyDataReceived:
		c.verbose("empty WAL message at %s", e.LSN)
	case walstream.SegmentCompleted:
		c.verbose("WAL segment \"%s\" received up to %s", e.Path, e.End)
	case walstream.StreamStopped:
		// backup.StreamFinished says it, after the stop point is known.
		c.verbose("WAL stream stopped at %s on timeline %d", e.LSN, e.Timeline)
	default:
		return false
	}
	return true
}

// stamp is the time in front of a receiver line, for releases that have it.
func (c *console) stamp() string {
	if !c.profile.ReceiverTime {
		return ""
	}
	return "[" + c.env.Now().In(c.env.Location).Format("2006-01-02 15:04:05") + "]:"
}

func (c *console) receiverLine(text string) {
	blanks := strings.Repeat(" ", 100) + "\r"
	if c.env.ErrTerminal {
		blanks = "" // there they leave an empty line, or two
	}
	c.log.Raw(blanks + c.stamp() + " " + text + "\n")
}

// segmentNotRenamed reports an incomplete last segment. "(null)" is the C
// tool's unset program name.
func (c *console) segmentNotRenamed(path string) {
	path = strings.TrimSuffix(path, wal.PartialSuffix)
	if !c.profile.ReceiverFullPath {
		c.log.Raw("(null): not renaming " + filepath.Base(path) + ", segment is not complete.\n")
		return
	}
	c.log.Raw(c.stamp() + "(null): not renaming \"" + path + "\", segment is not complete.\n")
}
