package catalog

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"time"

	"gsprobackup/internal/catalog/keyfile"
	"gsprobackup/internal/fsx"
	"gsprobackup/internal/optvalue"
)

// WriteControl writes b in the layout of spec/formats.md §3.1, with times in
// zone loc. It differs from the C tool in one thing: quotes inside a value are
// doubled, which both read back. A value that could not be read back gives a
// *keyfile.ValueError.
func WriteControl(w io.Writer, b *Backup, loc *time.Location) error {
	c := controlWriter{loc: loc}
	c.raw("#Configuration\n")
	c.line("backup-mode", "%s", b.Mode)
	c.line("stream", "%t", b.Stream)
	c.line("compress-alg", "%s", b.CompressAlg)
	c.line("compress-level", "%d", b.CompressLevel)
	c.line("from-replica", "%t", b.FromReplica)

	c.raw("\n#Compatibility\n")
	c.line("block-size", "%d", b.BlockSize)
	c.line("xlog-block-size", "%d", b.XLogBlockSize)
	c.line("checksum-version", "%d", b.ChecksumVersion)
	c.text("program-version", b.ProgramVersion, keyfile.Auto)
	c.text("server-version", b.ServerVersion, keyfile.Auto)

	c.raw("\n#Result backup info\n")
	c.line("timelineid", "%d", b.Timeline)
	c.line("start-lsn", "%s", b.StartLSN)
	c.line("stop-lsn", "%s", b.StopLSN)
	c.line("start-time", "'%s'", optvalue.FormatTime(b.StartTime(), loc))
	c.time("merge-time", b.MergeTime)
	c.time("end-time", b.EndTime)
	c.line("recovery-xid", "%d", b.RecoveryXID)
	c.time("recovery-time", b.RecoveryTime)
	c.time("expire-time", b.ExpireTime)
	c.text("recovery-name", b.RecoveryName, keyfile.Quoted)
	c.id("merge-dest-id", b.MergeDestID)
	c.bytes("data-bytes", b.DataBytes)
	c.bytes("wal-bytes", b.WALBytes)
	c.bytes("uncompressed-bytes", b.UncompressedBytes)
	c.bytes("pgdata-bytes", b.PGDataBytes)
	c.line("status", "%s", b.Status)
	c.id("parent-backup-id", b.ParentID)
	c.text("external-dirs", b.ExternalDirs, keyfile.Quoted)
	c.text("note", b.Note, keyfile.Quoted)
	if b.ContentCRC != 0 {
		c.line("content-crc", "%d", b.ContentCRC)
	}
	if b.StorageType != StorageAbsent {
		c.raw("\n#Database Storage type\n")
		c.line("storage-type", "%s", b.StorageType)
	}
	if b.S3Status != S3Absent {
		c.raw("\n#S3 Storage status\n")
		c.line("s3-status", "%s", b.S3Status)
	}
	if c.err != nil {
		return c.err
	}
	_, err := io.WriteString(w, c.b.String())
	return err
}

// SaveControl replaces b's control file durably. What no tool could read back
// is refused.
func SaveControl(fsys fsx.FS, b *Backup, loc *time.Location) error {
	return saveControl(fsys, b, loc, controlSum)
}

// saveControl stores sum(content) as the file's checksum.
func saveControl(fsys fsx.FS, b *Backup, loc *time.Location, sum func([]byte) string) error {
	if b.Mode == ModeInvalid || b.ID <= 0 {
		return fmt.Errorf("write control file %s: %w", b.ControlPath(),
			&keyfile.ValueError{Key: "backup-mode", Reason: "mode or start time is not known"})
	}
	var content bytes.Buffer
	err := WriteControl(&content, b, loc)
	if err == nil {
		opts := fsx.WriteOptions{Perm: 0o600, Seal: sealControl(sum(content.Bytes()))}
		err = fsx.WriteFile(fsys, b.ControlPath(), opts, func(w io.Writer) error {
			_, err := w.Write(content.Bytes())
			return err
		})
	}
	if err != nil {
		return fmt.Errorf("write control file %s: %w", b.ControlPath(), err)
	}
	return nil
}

// controlWriter collects lines and keeps the first error.
type controlWriter struct {
	b   strings.Builder
	loc *time.Location
	err error
}

func (c *controlWriter) raw(s string) { c.b.WriteString(s) }

func (c *controlWriter) line(key, format string, value any) {
	fmt.Fprintf(&c.b, "%s = "+format+"\n", key, value)
}

// text leaves out an empty value, as do time, id and bytes.
func (c *controlWriter) text(key, value string, format func(key, value string) (string, error)) {
	if value == "" {
		return
	}
	line, err := format(key, value)
	if c.err == nil {
		c.err = err
	}
	c.b.WriteString(line)
}

func (c *controlWriter) time(key string, t time.Time) {
	if t.IsZero() || t.Unix() <= 0 {
		return
	}
	text := optvalue.FormatTime(t, c.loc)
	if t.In(c.loc).Year() > 9999 && c.err == nil {
		c.err = &keyfile.ValueError{Key: key, Reason: "the year has more than four digits"}
	}
	c.line(key, "'%s'", text)
}

func (c *controlWriter) id(key string, id ID) {
	if id != 0 {
		c.line(key, "'%s'", id)
	}
}

func (c *controlWriter) bytes(key string, n int64) {
	if n >= 0 {
		c.line(key, "%d", n)
	}
}
