package catalog

import (
	"errors"

	"gsprobackup/internal/compress"
	"gsprobackup/internal/optvalue"
	"gsprobackup/internal/usererr"
)

// Source tells where an option's value came from. A higher source wins
// (spec/cli.md §2).
type Source uint8

// The sources, weakest first.
const (
	FromDefault Source = iota
	FromEnv
	FromFile
	FromCommandLine
)

// LogLevel is a message level of the C tool, in its order.
type LogLevel int

// The levels. Written upper case in pg_probackup.conf.
const (
	LogOff LogLevel = iota
	LogVerbose
	LogLog
	LogInfo
	LogNotice
	LogWarning
	LogError
)

var logLevelNames = [...]string{"OFF", "VERBOSE", "LOG", "INFO", "NOTICE", "WARNING", "ERROR"}

func (l LogLevel) String() string {
	if l < 0 || int(l) >= len(logLevelNames) {
		return "OFF"
	}
	return logLevelNames[l]
}

// Config holds the instance options (spec/cli.md §3.2, spec/formats.md §2.2).
// An empty string is an option without value. Read the fields freely; set
// options through Set, which keeps track of sources.
type Config struct {
	PGData           string
	SystemIdentifier uint64
	ExternalDirs     string // colon separated, "none" for no directories

	PGDatabase, PGHost, PGPort, PGUser string

	ArchiveTimeout                        uint32 // seconds
	ArchiveHost, ArchivePort, ArchiveUser string
	RestoreCommand                        string

	LogLevelConsole, LogLevelFile               LogLevel
	LogFilename, ErrorLogFilename, LogDirectory string
	LogRotationSize                             uint64 // KB, 0 = off
	LogRotationAge                              uint64 // milliseconds, 0 = off

	RetentionRedundancy uint32 // backups, 0 = off
	RetentionWindow     uint32 // days, 0 = off
	WALDepth            uint32 // backups per timeline, 0 = off

	CompressAlgorithm compress.Algorithm // Undefined until somebody sets it
	CompressLevel     uint32

	RemoteProto, RemoteHost, RemotePort, RemotePath, RemoteUser string
	SSHOptions, SSHConfig, RemoteLibpath                        string

	EnableDSS          bool
	VGName, SocketPath string
	InstanceID         int32 // -1 = not given

	AccessID, AccessKey, Endpoint, Region, AccessBucket string

	LimitRate uint64 // bytes a second, 0 = off; see ExtensionOptions

	sources map[string]Source // by key; absent = FromDefault
}

// NewConfig returns the built-in defaults.
func NewConfig() *Config {
	return &Config{
		ArchiveTimeout:  300,
		LogLevelConsole: LogLog,
		LogLevelFile:    LogOff,
		LogFilename:     "pg_probackup.log",
		CompressLevel:   1,
		RemoteProto:     "ssh",
		InstanceID:      -1,
		sources:         map[string]Source{},
	}
}

// Set converts text and stores it for option o, unless a stronger source has
// already given a value; then text is not even looked at, as in the C tool.
// A conversion error is a *usererr.Error with the C tool's text, whatever the
// source.
func (c *Config) Set(o *ConfigOption, text string, from Source) error {
	if c.sources[o.Key] > from {
		return nil
	}
	if err := o.set(c, text); err != nil {
		var bad *optvalue.BadValue
		if errors.As(err, &bad) {
			oe := &optvalue.OptionError{Short: o.Short, Long: o.Key, Bad: bad}
			return usererr.Wrap(oe, "%s", oe.Error())
		}
		return err
	}
	c.sources[o.Key] = from
	return nil
}

// SharedStorage tells whether the data directory is on shared storage.
func (c *Config) SharedStorage() bool { return c.EnableDSS || c.VGName != "" }

// SetSystemIdentifier stores the identifier that add-instance read from
// pg_control, as if it had been given on the command line.
func (c *Config) SetSystemIdentifier(id uint64) {
	c.SystemIdentifier = id
	c.sources["system-identifier"] = FromCommandLine
}

// Source tells where the value of option o came from.
func (c *Config) Source(o *ConfigOption) Source { return c.sources[o.Key] }

// Text returns the display form of option o's value; ok is false for a
// string option without value.
func (c *Config) Text(o *ConfigOption) (text string, ok bool) {
	text = o.get(c)
	return text, text != ""
}

// ForgetRemoteAndS3 makes add-instance store no remote access and no S3
// option it was given (spec/formats.md §2.2).
func (c *Config) ForgetRemoteAndS3() {
	for _, o := range ConfigOptions() {
		if o.Group == groupRemote || o.Group == GroupS3 {
			delete(c.sources, o.Key)
		}
	}
}

// Setting is an option with its display value.
type Setting struct {
	Group string // without "# "
	Key   string
	Value string
}

// Settings lists all options that have a value, defaults included, in the
// order of show-config (spec/cli.md §8.5). Options of ours come last, and only
// those that were set.
func (c *Config) Settings() []Setting {
	var list []Setting
	for _, o := range ConfigOptions() {
		if text, ok := c.Text(o); ok {
			list = append(list, Setting{Group: o.Group, Key: o.Key, Value: text})
		}
	}
	for _, o := range ExtensionOptions() {
		if text, ok := c.Text(o); ok && c.Source(o) != FromDefault {
			list = append(list, Setting{Group: o.Group, Key: o.Key, Value: text})
		}
	}
	return list
}
