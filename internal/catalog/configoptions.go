package catalog

import (
	"strconv"
	"strings"

	"gsprobackup/internal/compress"
	"gsprobackup/internal/optvalue"
	"gsprobackup/internal/usererr"
)

// OptionKind is the kind of value an option takes.
type OptionKind int

// The kinds of spec/cli.md §5.2 and §5.3.
const (
	KindString OptionKind = iota
	KindUint32
	KindUint64
	KindInt32
	KindBool // a flag on the command line, a boolean word in the file
	KindEnum
)

// ConfigOption describes one instance option. The table is shared by the
// file and, through internal/cli, by the command line.
type ConfigOption struct {
	Key   string // long name
	Short byte   // short option letter, 0 for none
	Group string // heading without "# "
	Kind  OptionKind
	Unit  optvalue.Unit
	// FileOnly options are refused on the command line.
	FileOnly bool
	// Repeat options may be given more than once on the command line, the
	// last one wins (spec/cli.md §5.6 row 9).
	Repeat bool

	set func(c *Config, text string) error
	get func(c *Config) string // display form, "" for no value
}

// The headings of pg_probackup.conf and show-config.
const (
	groupInstance    = "Backup instance information"
	groupConnection  = "Connection parameters"
	groupArchive     = "Archive parameters"
	groupLogging     = "Logging parameters"
	groupRetention   = "Retention parameters"
	groupCompression = "Compression parameters"
	groupRemote      = "Remote access parameters"
	GroupDSS         = "DSS connect parameters"
	GroupS3          = "S3 connect parameters"
	groupExtensions  = "Extension parameters"
)

// ConfigOptions is the table of spec/formats.md §2.2, in file order.
func ConfigOptions() []*ConfigOption {
	return []*ConfigOption{
		str("pgdata", 'D', groupInstance, func(c *Config) *string { return &c.PGData }),
		systemIdentifier(),
		str("external-dirs", 'E', groupInstance, func(c *Config) *string { return &c.ExternalDirs }),

		str("pgdatabase", 'd', groupConnection, func(c *Config) *string { return &c.PGDatabase }),
		str("pghost", 'h', groupConnection, func(c *Config) *string { return &c.PGHost }),
		str("pgport", 'p', groupConnection, func(c *Config) *string { return &c.PGPort }),
		str("pguser", 'U', groupConnection, func(c *Config) *string { return &c.PGUser }),

		u32("archive-timeout", groupArchive, optvalue.Second, func(c *Config) *uint32 { return &c.ArchiveTimeout }),
		str("archive-host", 0, groupArchive, func(c *Config) *string { return &c.ArchiveHost }),
		str("archive-port", 0, groupArchive, func(c *Config) *string { return &c.ArchivePort }),
		str("archive-user", 0, groupArchive, func(c *Config) *string { return &c.ArchiveUser }),
		str("restore-command", 0, groupArchive, func(c *Config) *string { return &c.RestoreCommand }),

		logLevel("log-level-console", func(c *Config) *LogLevel { return &c.LogLevelConsole }),
		logLevel("log-level-file", func(c *Config) *LogLevel { return &c.LogLevelFile }),
		str("log-filename", 0, groupLogging, func(c *Config) *string { return &c.LogFilename }),
		str("error-log-filename", 0, groupLogging, func(c *Config) *string { return &c.ErrorLogFilename }),
		str("log-directory", 0, groupLogging, func(c *Config) *string { return &c.LogDirectory }),
		u64("log-rotation-size", groupLogging, optvalue.KB, func(c *Config) *uint64 { return &c.LogRotationSize }),
		u64("log-rotation-age", groupLogging, optvalue.Millisecond, func(c *Config) *uint64 { return &c.LogRotationAge }),

		u32("retention-redundancy", groupRetention, optvalue.NoUnit, func(c *Config) *uint32 { return &c.RetentionRedundancy }),
		u32("retention-window", groupRetention, optvalue.NoUnit, func(c *Config) *uint32 { return &c.RetentionWindow }),
		u32("wal-depth", groupRetention, optvalue.NoUnit, func(c *Config) *uint32 { return &c.WALDepth }),

		compressAlgorithm(),
		u32("compress-level", groupCompression, optvalue.NoUnit, func(c *Config) *uint32 { return &c.CompressLevel }),

		str("remote-proto", 0, groupRemote, func(c *Config) *string { return &c.RemoteProto }),
		str("remote-host", 0, groupRemote, func(c *Config) *string { return &c.RemoteHost }),
		str("remote-port", 0, groupRemote, func(c *Config) *string { return &c.RemotePort }),
		str("remote-path", 0, groupRemote, func(c *Config) *string { return &c.RemotePath }),
		str("remote-user", 0, groupRemote, func(c *Config) *string { return &c.RemoteUser }),
		str("ssh-options", 0, groupRemote, func(c *Config) *string { return &c.SSHOptions }),
		str("ssh-config", 0, groupRemote, func(c *Config) *string { return &c.SSHConfig }),
		str("remote-libpath", 0, groupRemote, func(c *Config) *string { return &c.RemoteLibpath }),

		enableDSS(),
		str("vgname", 0, GroupDSS, func(c *Config) *string { return &c.VGName }),
		str("socketpath", 0, GroupDSS, func(c *Config) *string { return &c.SocketPath }),
		instanceID(),

		str("access-id", 0, GroupS3, func(c *Config) *string { return &c.AccessID }),
		str("access-key", 0, GroupS3, func(c *Config) *string { return &c.AccessKey }),
		str("endpoint", 0, GroupS3, func(c *Config) *string { return &c.Endpoint }),
		str("region", 0, GroupS3, func(c *Config) *string { return &c.Region }),
		str("access-bucket", 0, GroupS3, func(c *Config) *string { return &c.AccessBucket }),
	}
}

// ExtensionOptions are ours. The C tool refuses a file with a key it does not
// know, so they stand behind all others in comments of a special form. The C
// tool drops them when it writes the file.
func ExtensionOptions() []*ConfigOption {
	return []*ConfigOption{limitRate()}
}

// limitRate is a u64 without the wrap of a negative number, and 0 is its
// neutral value: it is not stored.
func limitRate() *ConfigOption {
	o := u64("limit-rate", groupExtensions, optvalue.Byte, func(c *Config) *uint64 { return &c.LimitRate })
	set, get := o.set, o.get
	o.set = func(c *Config, text string) error {
		if strings.HasPrefix(strings.TrimSpace(text), "-") {
			return &optvalue.BadValue{Want: optvalue.WantUint64, Value: text}
		}
		return set(c, text)
	}
	o.get = func(c *Config) string {
		if c.LimitRate == 0 {
			return ""
		}
		return get(c)
	}
	return o
}

// FindConfigOption returns the option with a long name, or nil.
func FindConfigOption(key string) *ConfigOption {
	for _, o := range append(ConfigOptions(), ExtensionOptions()...) {
		if o.Key == key {
			return o
		}
	}
	return nil
}

func str(key string, short byte, group string, field func(*Config) *string) *ConfigOption {
	return &ConfigOption{
		Key: key, Short: short, Group: group, Kind: KindString,
		set: func(c *Config, text string) (err error) {
			text, err = optvalue.ParseString(text)
			if err == nil {
				*field(c) = text
			}
			return err
		},
		get: func(c *Config) string { return *field(c) },
	}
}

func u32(key, group string, unit optvalue.Unit, field func(*Config) *uint32) *ConfigOption {
	return &ConfigOption{
		Key: key, Group: group, Kind: KindUint32, Unit: unit,
		set: func(c *Config, text string) error {
			n, err := optvalue.ParseUint32(text, unit)
			if err == nil {
				*field(c) = n
			}
			return err
		},
		get: func(c *Config) string { return optvalue.Format(uint64(*field(c)), unit) },
	}
}

func u64(key, group string, unit optvalue.Unit, field func(*Config) *uint64) *ConfigOption {
	return &ConfigOption{
		Key: key, Group: group, Kind: KindUint64, Unit: unit,
		set: func(c *Config, text string) error {
			n, err := optvalue.ParseUint64(text, unit)
			if err == nil {
				*field(c) = n
			}
			return err
		},
		get: func(c *Config) string { return optvalue.Format(*field(c), unit) },
	}
}

func systemIdentifier() *ConfigOption {
	o := u64("system-identifier", groupInstance, optvalue.NoUnit, func(c *Config) *uint64 { return &c.SystemIdentifier })
	o.FileOnly = true
	return o
}

func logLevel(key string, field func(*Config) *LogLevel) *ConfigOption {
	return &ConfigOption{
		Key: key, Group: groupLogging, Kind: KindEnum, Repeat: true,
		set: func(c *Config, text string) error {
			l, err := ParseLogLevel(text)
			if err == nil {
				*field(c) = l
			}
			return err
		},
		get: func(c *Config) string { return field(c).String() },
	}
}

func compressAlgorithm() *ConfigOption {
	return &ConfigOption{
		Key: "compress-algorithm", Group: groupCompression, Kind: KindEnum, Repeat: true,
		set: func(c *Config, text string) error {
			a, err := ParseCompressAlgorithm(text)
			if err == nil {
				c.CompressAlgorithm = a
			}
			return err
		},
		get: func(c *Config) string { return c.CompressAlgorithm.String() },
	}
}

func enableDSS() *ConfigOption {
	return &ConfigOption{
		Key: "enable-dss", Group: GroupDSS, Kind: KindBool,
		set: func(c *Config, text string) error {
			v, err := optvalue.ParseBool(text)
			if err == nil {
				c.EnableDSS = v
			}
			return err
		},
		get: func(c *Config) string { return strconv.FormatBool(c.EnableDSS) },
	}
}

func instanceID() *ConfigOption {
	return &ConfigOption{
		Key: "instance-id", Group: GroupDSS, Kind: KindInt32,
		set: func(c *Config, text string) error {
			n, err := optvalue.ParseInt32(text, optvalue.NoUnit)
			if err == nil {
				c.InstanceID = n
			}
			return err
		},
		get: func(c *Config) string { return strconv.Itoa(int(c.InstanceID)) },
	}
}

// ParseLogLevel finds a level by prefix, in any case.
func ParseLogLevel(text string) (LogLevel, error) {
	if text != "" && optvalue.IsBlank(text) {
		return 0, usererr.New("log-level is empty")
	}
	i := optvalue.MatchPrefix(text, logLevelNames[:]...)
	if i < 0 {
		return 0, usererr.New(`invalid log-level "%s"`, text)
	}
	return LogLevel(i), nil
}

// ParseCompressAlgorithm finds an algorithm by prefix, in any case; "z" is
// zlib, the first in the C tool's order.
func ParseCompressAlgorithm(text string) (compress.Algorithm, error) {
	if optvalue.IsBlank(text) {
		return 0, usererr.New("compress algorithm is empty")
	}
	order := []compress.Algorithm{compress.Zlib, compress.LZ4, compress.Zstd, compress.PGLZ, compress.None}
	names := make([]string, len(order))
	for i, a := range order {
		names[i] = a.String()
	}
	i := optvalue.MatchPrefix(text, names...)
	if i < 0 {
		return 0, usererr.New(`invalid compress algorithm value "%s"`, text)
	}
	return order[i], nil
}
