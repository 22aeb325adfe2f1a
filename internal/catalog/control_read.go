package catalog

import (
	"errors"
	"io/fs"
	"time"

	"gsprobackup/internal/catalog/keyfile"
	"gsprobackup/internal/event"
	"gsprobackup/internal/fsx"
	"gsprobackup/internal/optvalue"
	"gsprobackup/internal/usererr"
	"gsprobackup/internal/wal"
)

// InvalidStatus is emitted for a status word nobody knows; the status reads
// as UNKNOWN. C tool: WARNING `Invalid STATUS "%s"`.
type InvalidStatus struct{ Text string }

// InvalidLSN is emitted for an LSN that is none; it reads as 0/0. C tool:
// WARNING `Invalid START_LSN "%s"`, and STOP_LSN.
type InvalidLSN struct {
	Which string // "START_LSN" or "STOP_LSN"
	Text  string
}

// ValueRepaired is emitted for a value that the C tool wrote and cannot read:
// a text with a quote inside, or a pin beyond the year 9999.
type ValueRepaired struct {
	File  string
	Key   string
	Value string // as it was understood
}

// foreverPinned stands for an expire-time that cannot be read. The C tool
// writes years of seven digits for a long --ttl; losing such a pin would let
// retention delete the backup.
var foreverPinned = time.Date(9999, 12, 30, 0, 0, 0, 0, time.UTC)

// Errors inside what ReadControl returns.
var (
	ErrControlEmpty = errors.New("control file is empty")
	ErrControlID    = errors.New("control file has no start-time")
)

// ReadControl reads the backup.control at path. Faults that leave the backup
// usable are emitted to sink. The error is a *usererr.Error: fs.ErrNotExist,
// ErrControlEmpty, ErrControlID, a *keyfile.SyntaxError or an
// *optvalue.OptionError is inside.
func ReadControl(fsys fsx.FS, path string, sink event.Sink) (*Backup, error) {
	data, err := fsx.ReadFile(fsys, path, maxKeyFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, usererr.Wrap(err, `Control file "%s" doesn't exist`, path)
	}
	if err != nil {
		return nil, usererr.Wrap(err, `Cannot open control file "%s": %s`, path, usererr.SystemText(err))
	}
	r := controlReader{path: path, sink: sink}
	if err := r.parse(data); err != nil {
		return nil, err
	}
	r.relink(fsys)
	return r.b, nil
}

// ParseControl is ReadControl for the bytes of a file; path is only named in
// messages. Every release's file is accepted: all keys but start-time are
// optional, and unknown ones are emitted (spec/formats.md §3.3).
func ParseControl(data []byte, path string, sink event.Sink) (*Backup, error) {
	r := controlReader{path: path, sink: sink}
	if err := r.parse(data); err != nil {
		return nil, err
	}
	return r.b, nil
}

func (r *controlReader) parse(data []byte) error {
	pairs, err := keyfile.Parse(data, keyfile.Options{Repair: true})
	if err != nil {
		return err
	}
	if len(pairs) == 0 {
		return usererr.Wrap(ErrControlEmpty, `Control file "%s" is empty`, r.path)
	}
	r.b = &Backup{
		CompressLevel: defaultLevel, BlockSize: BlockSize, XLogBlockSize: BlockSize,
		DataBytes: unknownBytes, WALBytes: unknownBytes,
	}
	fields := r.fields()
	for _, p := range pairs {
		if err := r.apply(fields, p); err != nil {
			return err
		}
	}
	if r.b.ID <= 0 {
		return usererr.Wrap(ErrControlID, `Invalid ID/start-time, control file "%s" is corrupted`, r.path)
	}
	r.undrift()
	return nil
}

type controlReader struct {
	path string
	sink event.Sink
	b    *Backup
	// startOffset is the offset that start-time was written with, offsets are
	// those of the other times.
	startOffset string
	offsets     map[*time.Time]string
}

type controlField struct {
	key string
	set func(value string) error
}

func (r *controlReader) apply(fields []controlField, p keyfile.Pair) error {
	for _, f := range fields {
		if !keyfile.SameKey(f.key, p.Key) {
			continue
		}
		if p.Repaired {
			r.sink.Emit(ValueRepaired{File: r.path, Key: f.key, Value: p.Value})
		}
		err := f.set(p.Value)
		var bad *optvalue.BadValue
		if errors.As(err, &bad) {
			oe := &optvalue.OptionError{Long: f.key, Bad: bad}
			return usererr.Wrap(oe, "%s", oe.Error())
		}
		return err
	}
	r.sink.Emit(UnknownOption{Key: p.Key, File: r.path})
	return nil
}

// fields binds the keys to the backup being read.
func (r *controlReader) fields() []controlField {
	b := r.b
	return []controlField{
		{"backup-mode", func(v string) (err error) { b.Mode, err = ParseMode(v); return err }},
		{"stream", boolField(&b.Stream)},
		{"compress-alg", func(v string) (err error) { b.CompressAlg, err = ParseCompressAlgorithm(v); return err }},
		{"compress-level", func(v string) error {
			n, err := optvalue.ParseUint32(v, optvalue.NoUnit)
			b.CompressLevel = int(n)
			return err
		}},
		{"from-replica", boolField(&b.FromReplica)},
		{"block-size", uint32Field(&b.BlockSize)},
		{"xlog-block-size", uint32Field(&b.XLogBlockSize)},
		{"checksum-version", uint32Field(&b.ChecksumVersion)},
		{"program-version", textField(&b.ProgramVersion)},
		{"server-version", textField(&b.ServerVersion)},
		{"timelineid", func(v string) error {
			n, err := optvalue.ParseUint32(v, optvalue.NoUnit)
			b.Timeline = wal.Timeline(n)
			return err
		}},
		{"start-lsn", r.lsnField("START_LSN", &b.StartLSN)},
		{"stop-lsn", r.lsnField("STOP_LSN", &b.StopLSN)},
		{"start-time", func(v string) error {
			t, err := parseControlTime(v)
			b.ID = ID(t.Unix())
			r.startOffset = offsetText(v)
			return err
		}},
		{"merge-time", r.timeField(&b.MergeTime)},
		{"end-time", r.timeField(&b.EndTime)},
		{"recovery-xid", func(v string) (err error) {
			b.RecoveryXID, err = optvalue.ParseUint64(v, optvalue.NoUnit)
			return err
		}},
		{"recovery-time", r.timeField(&b.RecoveryTime)},
		{"expire-time", r.expireTime},
		{"recovery-name", textField(&b.RecoveryName)},
		{"merge-dest-id", idField(&b.MergeDestID)},
		{"data-bytes", int64Field(&b.DataBytes)},
		{"wal-bytes", int64Field(&b.WALBytes)},
		{"uncompressed-bytes", int64Field(&b.UncompressedBytes)},
		{"pgdata-bytes", int64Field(&b.PGDataBytes)},
		{"status", r.status},
		{"parent-backup-id", idField(&b.ParentID)},
		{"external-dirs", textField(&b.ExternalDirs)},
		{"note", textField(&b.Note)},
		{"content-crc", uint32Field(&b.ContentCRC)},
		{"storage-type", func(v string) error { b.StorageType = parseStorage(v); return nil }},
		{"s3-status", func(v string) error { b.S3Status = parseS3Status(v); return nil }},
	}
}

func (r *controlReader) status(v string) error {
	s, ok := ParseStatus(v)
	if !ok {
		r.sink.Emit(InvalidStatus{Text: v})
	}
	r.b.Status = s
	return nil
}

func (r *controlReader) expireTime(v string) error {
	t, err := parseControlTime(v)
	if err != nil && v != "" {
		t, err = foreverPinned, nil
		r.sink.Emit(ValueRepaired{File: r.path, Key: "expire-time", Value: optvalue.FormatTime(t, time.UTC)})
	}
	r.b.ExpireTime = t
	if t != foreverPinned {
		r.noteTime(v, &r.b.ExpireTime)
	}
	return err
}

func (r *controlReader) lsnField(which string, dst *wal.LSN) func(string) error {
	return func(v string) error {
		lsn, err := wal.ParseLSN(v)
		if err != nil {
			r.sink.Emit(InvalidLSN{Which: which, Text: v})
		}
		*dst = lsn
		return nil
	}
}

// parseControlTime takes a time without offset for UTC (spec/cli.md §5.4);
// every release writes one.
func parseControlTime(v string) (time.Time, error) {
	t, err := optvalue.ParseTime(v, time.UTC)
	if err != nil {
		return time.Time{}, err
	}
	return t.UTC(), nil
}

func (r *controlReader) timeField(dst *time.Time) func(string) error {
	return func(v string) (err error) {
		*dst, err = parseControlTime(v)
		r.noteTime(v, dst)
		return err
	}
}

func textField(dst *string) func(string) error {
	return func(v string) (err error) { *dst, err = optvalue.ParseString(v); return err }
}

func boolField(dst *bool) func(string) error {
	return func(v string) (err error) { *dst, err = optvalue.ParseBool(v); return err }
}

func uint32Field(dst *uint32) func(string) error {
	return func(v string) (err error) { *dst, err = optvalue.ParseUint32(v, optvalue.NoUnit); return err }
}

func int64Field(dst *int64) func(string) error {
	return func(v string) (err error) { *dst, err = optvalue.ParseInt64(v, optvalue.NoUnit); return err }
}

func idField(dst *ID) func(string) error {
	return func(v string) error { *dst = decodeID(v); return nil }
}
