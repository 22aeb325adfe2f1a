// Package logging writes messages the way the C tool does.
//
// It owns the levels, the console line, the log file and the error log: their
// line format, strftime names and rotation (spec/cli.md §7.1 to §7.4). It
// leaves to internal/cli which messages there are, and to no one else the
// right to print. zerolog does the level filtering; its JSON encoder is not
// used, because a message may hold any bytes (a path is not always UTF-8) and
// must come out unchanged.
//
//	console  LEVEL: text
//	file     YYYY-MM-DD HH:MM:SS ZZZ [PID]: LEVEL: text
//	JSON     {"time":"…","level":"…","pid":…,"message":"…"}, in either place
//
// The audit log of 6.0 (§7.5) is here too; it is no part of a Logger. Before Configure messages go to the console only, at the default level:
// errors in options never reach a file.
package logging

import (
	"io"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"gsprobackup/internal/fsx"
)

// DefaultFilename is the name of the log file without --log-filename.
const DefaultFilename = "pg_probackup.log"

// Config is what the logging options of an instance say.
type Config struct {
	Console Level
	File    Level
	// Dir holds both files; empty means there are none. A missing last
	// component is created.
	Dir string
	// Filename and ErrorFilename are strftime patterns, evaluated when the
	// first line is written. An empty ErrorFilename means no error log.
	Filename      string
	ErrorFilename string
	// RotationSize in kB and RotationAge in ms; 0 disables.
	RotationSize uint64
	RotationAge  uint64
}

// Format is how lines look, on the console and in the files.
type Format int

// Text is the C tool's. JSON is one object a line, for log collectors.
const (
	Text Format = iota
	JSON
)

// Options are the surroundings of a Logger.
type Options struct {
	Console  io.Writer
	FS       fsx.FS
	Now      func() time.Time
	Location *time.Location // zone of the time stamps
	PID      int
	// OnFileError is told once that a log file cannot be opened. The C tool
	// ends with that error; the logger itself goes on without the file.
	OnFileError func(error)
}

// Logger writes messages to the console and to files. It is safe for
// concurrent use.
type Logger struct {
	opts Options

	mu      sync.Mutex
	cfg     Config
	format  Format
	file    *logFile
	errFile *logFile
	failed  bool // a file could not be opened
	full    bool // a line could not be written, and that was told
	console zerolog.Logger
	toFile  zerolog.Logger
	toError zerolog.Logger
}

// New returns a Logger that writes LOG and above to the console.
func New(opts Options) *Logger {
	l := &Logger{opts: opts}
	l.apply(Config{Console: Log, File: Off})
	return l
}

// Configure switches to cfg. Files are opened by the first line that goes
// there, so a command that logs nothing leaves no file.
func (l *Logger) Configure(cfg Config) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.apply(cfg)
}

// SetFormat chooses how lines look from now on.
func (l *Logger) SetFormat(f Format) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.format = f
}

func (l *Logger) apply(cfg Config) {
	l.cfg = cfg
	if cfg.Filename == "" {
		l.cfg.Filename = DefaultFilename
	}
	fileLevel, errorLevel := Off, Off
	if cfg.Dir != "" {
		fileLevel = cfg.File
		if cfg.ErrorFilename != "" {
			errorLevel = Error
		}
	}
	l.console = newSink(cfg.Console, l.writeConsole)
	l.toFile = newSink(fileLevel, func(level Level, msg string) { l.writeFile(&l.file, l.cfg.Filename, level, msg) })
	l.toError = newSink(errorLevel, func(level Level, msg string) { l.writeFile(&l.errFile, l.cfg.ErrorFilename, level, msg) })
}

// newSink is a zerolog logger that hands the bare message to write. zerolog
// keeps its own encoding for the discarded output.
func newSink(threshold Level, write func(Level, string)) zerolog.Logger {
	hook := zerolog.HookFunc(func(_ *zerolog.Event, level zerolog.Level, msg string) {
		write(Level(level), msg)
	})
	return zerolog.New(io.Discard).Level(threshold.zero()).Hook(hook)
}

// Log writes a message to the console and to the files, each by its own
// threshold. text has no trailing line feed unless an empty line is wanted.
func (l *Logger) Log(level Level, text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.console.WithLevel(level.zero()).Msg(text)
	l.logToFiles(level, text)
}

// LogToFile writes a message to the files only.
func (l *Logger) LogToFile(level Level, text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.logToFiles(level, text)
}

func (l *Logger) logToFiles(level Level, text string) {
	l.toFile.WithLevel(level.zero()).Msg(text)
	l.toError.WithLevel(level.zero()).Msg(text)
}

// Enabled tells whether a message of that level would be written anywhere.
func (l *Logger) Enabled(level Level) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return level >= l.cfg.Console || (l.cfg.Dir != "" && level >= l.cfg.File)
}

// Raw writes bytes to the console, past all levels, in one piece: the WAL
// receiver's lines are such. As JSON they count as LOG.
func (l *Logger) Raw(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.format == JSON {
		// What stands before a carriage return is not seen on a terminal.
		line := text[strings.LastIndexByte(text, '\r')+1:]
		text = l.jsonLine(l.now(), Log.String(), strings.TrimSpace(line))
	}
	l.print(text)
}

// Hint writes a line for people behind an error, to the console only, and only
// if errors are shown there.
func (l *Logger) Hint(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cfg.Console > Error {
		return
	}
	l.print(l.consoleLine("HINT", text))
}

// Close closes the files. The logger must not be used afterwards.
func (l *Logger) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	var first error
	for _, f := range []*logFile{l.file, l.errFile} {
		if f == nil {
			continue
		}
		if err := f.close(); err != nil && first == nil {
			first = err
		}
	}
	l.file, l.errFile = nil, nil
	return first
}

func (l *Logger) writeConsole(level Level, msg string) { l.print(l.consoleLine(level.String(), msg)) }

// print writes to the console. Nobody is left to tell of a broken one.
func (l *Logger) print(line string) { _, _ = io.WriteString(l.opts.Console, line) }

// warn writes a warning to the console while a log file is being opened.
func (l *Logger) warn(text string) { l.console.WithLevel(Warning.zero()).Msg(text) }

func (l *Logger) now() time.Time { return l.opts.Now().In(l.opts.Location) }

// writeFile appends a line to *slot, opening it first. It runs under l.mu.
//
// A file that cannot be opened ends the run, before the work has begun. One
// that cannot be written, because its disk is full, does not: the backup is
// worth more than its log. Later lines are tried again.
func (l *Logger) writeFile(slot **logFile, pattern string, level Level, msg string) {
	if l.failed {
		return
	}
	now := l.now()
	if *slot == nil {
		f, err := l.openFile(pattern, now)
		if err != nil {
			l.giveUp(err)
			return
		}
		*slot = f
	}
	if err := (*slot).writeLine(l.fileLine(now, level, msg)); err != nil && !l.full {
		l.full = true
		l.warn(err.Error())
	}
}

// giveUp stops writing to files and reports why. It runs under l.mu, so
// OnFileError must not log.
func (l *Logger) giveUp(err error) {
	l.failed = true
	if l.opts.OnFileError != nil {
		l.opts.OnFileError(err)
	}
}
