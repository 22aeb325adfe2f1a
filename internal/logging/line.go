package logging

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"
)

// consoleLine is a line on stderr: no time, no process.
func (l *Logger) consoleLine(level, msg string) string {
	if l.format == JSON {
		return l.jsonLine(l.now(), level, msg)
	}
	return level + ": " + msg + "\n"
}

func (l *Logger) fileLine(now time.Time, level Level, msg string) string {
	if l.format == JSON {
		return l.jsonLine(now, level.String(), msg)
	}
	return fmt.Sprintf("%s [%d]: %s: %s\n", now.Format("2006-01-02 15:04:05 MST"), l.opts.PID, level, msg)
}

// jsonRecord is a line as JSON. Keys and their order are documented in
// docs/monitoring.md; only new ones may be added, at the end.
type jsonRecord struct {
	Time    string `json:"time"` // RFC 3339 with milliseconds
	Level   string `json:"level"`
	PID     int    `json:"pid"`
	Message string `json:"message"`
}

// jsonLine is one object and a line feed. Bytes that are not UTF-8, as a path
// may hold, become U+FFFD, for JSON has no others.
func (l *Logger) jsonLine(now time.Time, level, msg string) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	// Strings and numbers always encode.
	_ = e.Encode(jsonRecord{now.Format("2006-01-02T15:04:05.000Z07:00"), level, l.opts.PID, msg})
	return b.String()
}
