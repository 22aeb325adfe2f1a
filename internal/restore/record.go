package restore

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"gsprobackup/internal/pgdata"
	"gsprobackup/internal/wal"
)

// record is a file in the data directory from before the first change to it
// until the restore is complete. A directory that has it, and has no
// pg_control, was left by an interrupted restore: no server starts on it, what
// is in it is ours, and the next restore goes on with it. Its name begins with
// a dot, so that no backup ever holds it. Content:
//
//	# comment
//	system-identifier = <u64>
//	redo = <X/X>            these three of the pg_control that was here
//	timeline = <u32>        before, for a restore by LSN that goes on; not
//	checksums = <bool>      in the record of a new directory
//	directory = "<path>"    one line for each tablespace and external
//	                        directory that was empty or could be used
type record struct {
	SystemID uint64
	Old      *oldControl // nil for a new directory
	Dirs     []string
}

// oldControl is what is needed of the pg_control found in the data directory.
type oldControl struct {
	Redo      wal.LSN
	Timeline  wal.Timeline
	Checksums bool
	// catalogVersion is part of the name of the cluster's directory in
	// tablespaces. It is not recorded: a restore that goes on finds those of
	// the backup, and has seen to others before.
	catalogVersion uint32
}

// recordName is the record's name in the data directory.
const recordName = ".gs_probackup_restore"

// recordTemp is its name while it is written.
const recordTemp = recordName + ".tmp"

// maxRecord is ample for the directories of a cluster.
const maxRecord = 16 << 20

const recordHead = "# gs_probackup restore has begun here and has not ended; run it again\n"

func (rec *record) format() []byte {
	var b bytes.Buffer
	b.WriteString(recordHead)
	fmt.Fprintf(&b, "system-identifier = %d\n", rec.SystemID)
	if o := rec.Old; o != nil {
		fmt.Fprintf(&b, "redo = %s\ntimeline = %d\nchecksums = %t\n", o.Redo, o.Timeline, o.Checksums)
	}
	for _, d := range rec.Dirs {
		fmt.Fprintf(&b, "directory = %q\n", d)
	}
	return b.Bytes()
}

func parseRecord(raw []byte) (*record, error) {
	rec := &record{}
	old := func() *oldControl {
		if rec.Old == nil {
			rec.Old = &oldControl{}
		}
		return rec.Old
	}
	sc := bufio.NewScanner(bytes.NewReader(raw))
	sc.Buffer(nil, maxRecord)
	for sc.Scan() {
		line := sc.Text()
		if strings.HasPrefix(line, "#") {
			continue
		}
		key, value, _ := strings.Cut(line, " = ")
		var err error
		var tli uint64
		switch key {
		case "system-identifier":
			rec.SystemID, err = strconv.ParseUint(value, 10, 64)
		case "redo":
			old().Redo, err = wal.ParseLSN(value)
		case "timeline":
			tli, err = strconv.ParseUint(value, 10, 32)
			old().Timeline = wal.Timeline(tli)
		case "checksums":
			old().Checksums, err = strconv.ParseBool(value)
		case "directory":
			var dir string
			dir, err = strconv.Unquote(value)
			rec.Dirs = append(rec.Dirs, dir)
		default:
			err = errors.New("unknown key")
		}
		if err != nil {
			return nil, fmt.Errorf("read %s: line %q: %w", recordName, line, err)
		}
	}
	if err := sc.Err(); err != nil {
		return nil, fmt.Errorf("read %s: %w", recordName, err)
	}
	return rec, nil
}

// interrupted finds the record of an interrupted restore of this cluster, nil
// if there is none or its directory is complete.
func (r *run) interrupted(ctx context.Context) (*record, error) {
	host := r.deps.Host
	_, err := host.Stat(ctx, path.Join(r.opts.PGData, pgdata.ControlPath))
	if err == nil || !isMissing(err) {
		return nil, err
	}
	raw, err := host.ReadFile(ctx, path.Join(r.opts.PGData, recordName), maxRecord)
	if isMissing(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read record of interrupted restore: %w", err)
	}
	rec, err := parseRecord(raw)
	if err != nil || rec.SystemID != r.opts.SystemID {
		return nil, nil //nolint:nilerr // then the directory is just somebody's
	}
	return rec, nil
}

// mayUse tells whether an interrupted restore has already found dir free.
func (rec *record) mayUse(dir string) bool { return rec != nil && slices.Contains(rec.Dirs, dir) }

// begin makes the record durable and then takes pg_control, if there is one,
// its name: from here on no server starts.
func (w *writeOut) begin(ctx context.Context) error {
	rec := &record{SystemID: w.opts.SystemID, Old: w.old, Dirs: slices.Clone(w.extDirs)}
	for _, spc := range w.spaces {
		rec.Dirs = append(rec.Dirs, spc.target)
	}
	host, dir := w.deps.Host, w.opts.PGData
	temp := path.Join(dir, recordTemp)
	if err := w.writeSmall(ctx, temp, rec.format()); err != nil {
		return err
	}
	if err := host.Rename(ctx, temp, path.Join(dir, recordName)); err != nil {
		return err
	}
	if err := w.syncDirs(ctx, path.Dir(dir), dir); err != nil {
		return err
	}
	if !w.compares() {
		return nil
	}
	control := path.Join(dir, pgdata.ControlPath)
	if err := host.Rename(ctx, control, path.Join(dir, controlPending)); err != nil && !isMissing(err) {
		return err
	}
	global := path.Dir(control)
	if _, err := host.Stat(ctx, global); isMissing(err) {
		return nil // an interrupted restore did not come that far
	}
	return w.syncDirs(ctx, global)
}

// writeSmall writes a whole small file and makes its content durable.
func (r *run) writeSmall(ctx context.Context, name string, content []byte) error {
	out, err := r.deps.Host.CreateFile(ctx, name, settingsMode)
	if err != nil {
		return err
	}
	if len(content) > 0 {
		err = out.Data(content)
	}
	if err == nil && !r.opts.NoSync {
		err = out.Sync()
	}
	return errors.Join(err, out.Close())
}

// syncDirs makes the names in directories durable.
func (r *run) syncDirs(ctx context.Context, dirs ...string) error {
	if r.opts.NoSync {
		return nil
	}
	return abreast(ctx, r.deps.Host, dirs, func(ctx context.Context, dir string) error {
		if err := r.deps.Host.SyncDir(ctx, dir); err != nil {
			return fmt.Errorf("sync directory: %w", err)
		}
		return nil
	})
}
