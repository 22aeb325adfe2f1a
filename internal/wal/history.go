package wal

import (
	"bufio"
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// HistoryEntry is one line of a timeline history file: the log left timeline
// Timeline at Switch.
type HistoryEntry struct {
	Timeline Timeline
	Switch   LSN
	Reason   string // free text, may be empty
}

// ParseHistory reads PostgreSQL's timeline history file of timeline tli:
// lines of timeline, switch position and reason, oldest first; empty lines and
// lines starting with # do not count. Timelines must grow and end below tli.
func ParseHistory(data []byte, tli Timeline) ([]HistoryEntry, error) {
	var out []HistoryEntry
	sc := bufio.NewScanner(bytes.NewReader(data))
	for n := 1; sc.Scan(); n++ {
		line := strings.TrimSpace(sc.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		e, err := parseHistoryLine(line)
		if err != nil {
			return nil, fmt.Errorf("parse history of timeline %d, line %d: %w", tli, n, err)
		}
		if len(out) > 0 && e.Timeline <= out[len(out)-1].Timeline || e.Timeline >= tli {
			return nil, fmt.Errorf("parse history of timeline %d, line %d: timeline %d is out of order", tli, n, e.Timeline)
		}
		out = append(out, e)
	}
	if err := sc.Err(); err != nil {
		return nil, fmt.Errorf("parse history of timeline %d: %w", tli, err)
	}
	return out, nil
}

func parseHistoryLine(line string) (HistoryEntry, error) {
	fields := strings.Fields(line)
	if len(fields) < 2 {
		return HistoryEntry{}, fmt.Errorf("%q has no switch position", line)
	}
	tli, err := strconv.ParseUint(fields[0], 10, 32)
	if err != nil || tli == 0 {
		return HistoryEntry{}, fmt.Errorf("%q does not start with a timeline", line)
	}
	lsn, err := ParseLSN(fields[1])
	if err != nil {
		return HistoryEntry{}, err
	}
	_, rest, _ := strings.Cut(line, fields[1])
	return HistoryEntry{Timeline: Timeline(tli), Switch: lsn, Reason: strings.TrimSpace(rest)}, nil
}

// FormatHistory writes entries as the server does: an empty line between
// them, fields separated by tabs.
func FormatHistory(entries []HistoryEntry) []byte {
	var b bytes.Buffer
	for i, e := range entries {
		if i > 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(&b, "%d\t%s\t%s\n", e.Timeline, e.Switch, e.Reason)
	}
	return b.Bytes()
}
