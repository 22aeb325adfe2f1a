package cli

import (
	"strings"

	"gsprobackup/internal/catalog"
	"gsprobackup/internal/logging"
	"gsprobackup/internal/optvalue"
	"gsprobackup/internal/restore"
	"gsprobackup/internal/usererr"
)

// options holds what the command line said. Every option is accepted with
// every command (spec/cli.md §2); the commands pick what they use.
type options struct {
	Help       bool
	BackupPath string
	Instance   string
	BackupID   string // as typed
	Threads    uint32
	Progress   bool
	NoSync     bool
	Compat     string
	Explain    bool // why retention keeps, merges and deletes
	Hints      bool // a HINT line after errors that have one
	LogFormat  logging.Format
	// RemoteDeploy copies this program to a remote host that has none.
	RemoteDeploy bool

	MetricsFile string // about this run, for a collector; "" for none

	Mode             catalog.Mode // ModeInvalid if not given
	Stream           bool         // always on; see §3.1
	SmoothCheckpoint bool
	Slot             string
	TempSlot         bool // no effect, as in the C tool
	BackupLog        bool
	BackupReplslot   bool
	Note             string
	TTL              int64 // seconds
	TTLGiven         bool
	ExpireTime       string

	NoValidate          bool
	SkipBlockValidation bool
	SkipExternalDirs    bool
	Incremental         restore.Incremental
	// IncludeDatabases and ExcludeDatabases are our --db-include, --db-exclude.
	IncludeDatabases, ExcludeDatabases []string
	TablespaceMap                      []mapping
	ExternalMap                        []mapping
	Target                             targetOptions
	Force                              bool

	DeleteWAL     bool
	DeleteExpired bool
	MergeExpired  bool
	WAL           bool // synonym of DeleteWAL, counted apart
	Expired       bool // synonym of DeleteExpired, counted apart
	DryRun        bool
	Status        string

	Compress   bool
	NoPassword bool
	Password   string
	RWTimeout  uint32 // seconds; 0 means the default of 120

	WALFile walFileOptions

	JSON     bool
	Archive  bool
	S3Status string
	Media    mediaType

	Encryption encryptionOptions

	// given names the options that occurred, by their long name.
	given map[string]bool
}

// targetOptions are the recovery target options as typed.
type targetOptions struct {
	Time, XID, LSN, Inclusive, Name string
	Timeline                        uint32
	NewestTimeline                  bool
	Immediate, Latest               bool
}

// walFileOptions are those of archive-push and archive-get. The C tool parses
// and ignores them everywhere; so does every other command here.
type walFileOptions struct {
	Path, Name    string // %p and %f of the server
	PrefetchDir   string
	Until         string
	BatchSize     int32
	Overwrite     bool
	NoReadyRename bool
	NoValidateWAL bool
}

// encryptionOptions are the hidden options of spec/cli.md §4.8.
type encryptionOptions struct {
	Method, Key, Salt, Device string
	GenKey                    bool
}

// any tells whether one of them was given.
func (e encryptionOptions) any() bool { return e != encryptionOptions{} }

type mediaType int

const (
	mediaUnknown mediaType = iota
	mediaS3
	mediaDisk
)

func setMode(o *options, value string) (err error) {
	o.Mode, err = catalog.MatchMode(value)
	return err
}

func setFormat(o *options, value string) error {
	i := optvalue.MatchPrefix(value, "plain", "json")
	if i < 0 {
		return usererr.New("Invalid show format \"%s\"", value)
	}
	o.JSON = i == 1
	return nil
}

func setLogFormat(o *options, value string) error {
	i := optvalue.MatchWord(value, "text", "json")
	if i < 0 {
		return usererr.New("Invalid value for '--log-format' option: '%s', expected one of text, json", value)
	}
	o.LogFormat = logging.Format(i)
	return nil
}

func setIncremental(o *options, value string) error {
	i := optvalue.MatchWord(value, "none", "checksum", "lsn")
	if i < 0 {
		return usererr.New("Invalid value for '--incremental-mode' option: '%s'", value)
	}
	o.Incremental = [...]restore.Incremental{restore.IncrementalNone, restore.IncrementalChecksum, restore.IncrementalLSN}[i]
	return nil
}

// setTargetTimeline reads a number or what PostgreSQL's setting of that name
// knows besides. "current" is the backup's own timeline, the default.
func setTargetTimeline(o *options, value string) error {
	switch value {
	case "current":
		return nil
	case "latest":
		o.Target.NewestTimeline = true
		return nil
	}
	n, err := optvalue.ParseUint32(value, optvalue.NoUnit)
	if err != nil || n == 0 {
		return usererr.New("Invalid value for '--recovery-target-timeline' option '%s'", value).
			WithHint("it is a number, \"latest\" or \"current\"")
	}
	o.Target.Timeline = n
	return nil
}

func setMediaType(o *options, value string) error {
	switch optvalue.MatchPrefix(value, "s3", "disk") {
	case 0:
		o.Media = mediaS3
	case 1:
		o.Media = mediaDisk
	default:
		return usererr.New("invalid media_type \"%s\"", value)
	}
	return nil
}

// setTTL tells a malformed number and a negative one apart (§5.1).
func setTTL(o *options, value string) error {
	n, err := optvalue.ParseInt64(value, optvalue.Second)
	if err != nil {
		return err
	}
	if n < 0 {
		return &optvalue.BadValue{Want: optvalue.WantUint64, Value: value}
	}
	o.TTL, o.TTLGiven = n, true
	return nil
}

// threads is the effective -j: 0 counts as 1.
func (o *options) threads() int {
	if o.Threads == 0 {
		return 1
	}
	return int(o.Threads)
}

// joinCommandLine is the text of the command record: every word followed by a
// blank (§7.4).
func joinCommandLine(args []string) string {
	var b strings.Builder
	for _, a := range args {
		b.WriteString(a)
		b.WriteByte(' ')
	}
	return b.String()
}
