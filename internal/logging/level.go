package logging

import "github.com/rs/zerolog"

// Level is the severity of a message, or a threshold. Higher is quieter.
type Level int

// The levels of spec/cli.md §7.1. Notice is accepted as a threshold but never
// used for a message. The zero value is Verbose.
const (
	Verbose Level = iota
	Log
	Info
	Notice
	Warning
	Error
	Off
)

// String is the canonical name, as printed and stored in pg_probackup.conf.
func (l Level) String() string {
	switch l {
	case Verbose:
		return "VERBOSE"
	case Log:
		return "LOG"
	case Info:
		return "INFO"
	case Notice:
		return "NOTICE"
	case Warning:
		return "WARNING"
	case Error:
		return "ERROR"
	}
	return "OFF"
}

// zero is the rank zerolog filters by. Its own names are fewer than ours, so
// its numbers are used as plain ranks; WithLevel never ends the process,
// whatever the number.
func (l Level) zero() zerolog.Level {
	if l >= Off {
		return zerolog.Disabled
	}
	return zerolog.Level(l)
}
