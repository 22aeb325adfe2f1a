package restore_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"gsprobackup/internal/crc32c"
	pg "gsprobackup/internal/pgdata"
	"gsprobackup/internal/restore"
	"gsprobackup/internal/usererr"
	"gsprobackup/internal/wal"
	"gsprobackup/test/golden"
)

// Where openGauss's pg_control has what is changed here (spec/formats.md §9.1).
const (
	atSystemID = 0
	atRedo     = 48
	atTimeline = 56
	atCRC      = 224
)

// setOldControl changes a field of the restored pg_control.
func (w *world) setOldControl(at int, value uint64) {
	w.t.Helper()
	name := w.m.Path(pgdata + "/" + pg.ControlPath)
	raw, err := os.ReadFile(name)
	w.must(err)
	if at == atTimeline {
		binary.LittleEndian.PutUint32(raw[at:], uint32(value))
	} else {
		binary.LittleEndian.PutUint64(raw[at:], value)
	}
	binary.LittleEndian.PutUint32(raw[atCRC:], crc32c.Sum(raw[:atCRC]))
	w.must(os.WriteFile(name, raw, 0o600))
}

// startedSince makes the restored directory look as if a server had run on it
// and stopped after a checkpoint at redo.
func (w *world) startedSince(redo wal.LSN) {
	w.t.Helper()
	w.must(os.Remove(w.m.Path(pgdata + "/backup_label")))
	w.setOldControl(atRedo, uint64(redo))
}

func (w *world) restored(id string) {
	w.t.Helper()
	opts := w.options(id)
	opts.NoValidate = true
	w.must(w.run(opts))
	w.events = nil
}

func (w *world) write(name, text string) {
	w.t.Helper()
	w.must(os.WriteFile(w.m.Path(name), []byte(text), 0o600))
}

// Texts of golden 03_restore and spec/server.md §6.2, §6.4. The warnings come
// in this order.
func TestIncrementalRefusals(t *testing.T) {
	const impossible = "Incremental restore is impossible"
	for _, tt := range []struct {
		name    string
		mode    restore.Incremental
		prepare func(*world)
		events  string
		want    string
	}{
		{
			name: "mode none", mode: restore.IncrementalNone, prepare: func(*world) {},
			want: `Restore destination is not empty: "/home/omm/restored"`,
		},
		{
			name: "no cluster", mode: restore.IncrementalChecksum,
			prepare: func(w *world) { w.must(os.Remove(w.m.Path(pgdata + "/global/pg_control"))) },
			events:  "RunningIncremental",
			want:    `Could not open file "/home/omm/restored/global/pg_control" for reading: No such file or directory`,
		},
		{
			name: "another cluster", mode: restore.IncrementalChecksum, prepare: func(w *world) { w.setOldControl(atSystemID, 7) },
			events: "RunningIncremental OtherSystem", want: impossible,
		},
		{
			name: "server runs", mode: restore.IncrementalChecksum,
			prepare: func(w *world) {
				w.write(pgdata+"/postmaster.pid", fmt.Sprintf("%d\n/home/omm/restored\n", os.Getpid()))
			},
			events: "RunningIncremental PostmasterRuns", want: impossible,
		},
		{
			name: "single-user server runs", mode: restore.IncrementalChecksum,
			prepare: func(w *world) { w.write(pgdata+"/postmaster.pid", fmt.Sprintf("-%d\n", os.Getpid())) },
			events:  "RunningIncremental PostmasterRuns", want: impossible,
		},
		{
			name: "all at once", mode: restore.IncrementalLSN,
			prepare: func(w *world) { w.setOldControl(atSystemID, 7); w.write(pgdata+"/postmaster.pid", "what?\n") },
			events:  "RunningIncremental OtherSystem PidFileMangled LabelPresent", want: impossible,
		},
		{
			name: "never started", mode: restore.IncrementalLSN, prepare: func(*world) {},
			events: "RunningIncremental LabelPresent", want: impossible,
		},
		{
			name: "out of reach", mode: restore.IncrementalLSN, prepare: func(w *world) { w.startedSince(0x10000028) },
			events: "RunningIncremental Began CheckingTablespaces CheckingExternals NoHistory",
			want:   "Cannot perform incremental restore of backup chain TOWA5I in 'lsn' mode, because destination directory redo point 0/10000028 on tli 1 is out of reach",
		},
		{
			name: "other timeline", mode: restore.IncrementalLSN,
			prepare: func(w *world) { w.startedSince(0x130002F8); w.setOldControl(atTimeline, 3) },
			events:  "RunningIncremental Began CheckingTablespaces CheckingExternals NoHistory HistoryMandatory",
			want:    "Cannot perform incremental restore of backup chain TOWA5I in 'lsn' mode, because destination directory redo point 0/130002F8 on tli 3 is out of reach",
		},
		{
			name: "not in the history", mode: restore.IncrementalLSN,
			prepare: func(w *world) {
				w.startedSince(0x130002F8)
				w.setOldControl(atTimeline, 3)
				w.write(w.c.Dir+"/wal/n1/00000003.history", "1\t0/10000020\tbefore the first backup\n")
			},
			events: "RunningIncremental Began CheckingTablespaces CheckingExternals OtherHistory OtherHistory",
			want:   "Cannot perform incremental restore of backup chain TOWA5I in 'lsn' mode, because destination directory redo point 0/130002F8 on tli 3 is out of reach",
		},
		{
			name: "tablespace elsewhere", mode: restore.IncrementalChecksum,
			prepare: func(w *world) {
				w.target.Tablespaces["/home/omm/ts1"] = "/home/omm/other"
				w.put("/home/omm/other/PG_9.2_201611171_og1/16384/1")
			},
			events: "RunningIncremental Began CheckingTablespaces", want: `restore tablespace destination is not empty: "/home/omm/other"`,
		},
		{
			name: "external directory onto a tablespace", mode: restore.IncrementalChecksum,
			prepare: func(w *world) { w.target.Externals["/home/omm/ext1"] = w.target.Tablespaces["/home/omm/ts1"] },
			events:  "RunningIncremental Began CheckingTablespaces CheckingExternals",
			want:    impossible + `: "/home/omm/ts1" would be restored into "/home/omm/ts1_r"`,
		},
		{
			name: "external directory around PGDATA", mode: restore.IncrementalChecksum,
			prepare: func(w *world) { w.target.Externals["/home/omm/ext1"] = pgdata },
			events:  "RunningIncremental Began CheckingTablespaces CheckingExternals",
			want:    impossible + `: "/home/omm/restored" would be restored into "/home/omm/restored"`,
		},
		{
			name: "external directory in another one", mode: restore.IncrementalChecksum,
			prepare: func(w *world) {
				w.setControl("TOWA5I", "external-dirs", "'/home/omm/ext1:/home/omm/ext2'")
				w.target.Externals["/home/omm/ext2"] = w.target.Externals["/home/omm/ext1"] + "/2"
			},
			events: "RunningIncremental Began CheckingTablespaces CheckingExternals",
			want:   impossible + `: "/home/omm/ext2" would be restored into "/home/omm/ext1_r"`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, golden.Zlib)
			w.recordedMappings()
			w.restored("TOWA5D")
			tt.prepare(w)
			before := w.tree()
			err := w.run(w.again("TOWA5I", tt.mode))
			var ue *usererr.Error
			if !errors.As(err, &ue) || ue.Text != tt.want {
				t.Errorf("got %v\nwant %s", err, tt.want)
			}
			if got := w.said(); got != tt.events {
				t.Errorf("events %s\nwant   %s", got, tt.events)
			}
			w.sameTree(w.tree(), before)
		})
	}
}

// said are the names of the events.
func (w *world) said() string {
	var names []string
	for _, e := range w.events {
		names = append(names, strings.TrimPrefix(fmt.Sprintf("%T", e), "restore."))
	}
	return strings.Join(names, " ")
}

// Golden 03_restore [013] and the ways a shift LSN is found across timelines.
func TestShift(t *testing.T) {
	for _, tt := range []struct {
		name    string
		prepare func(*world)
		want    []restore.ShiftFound
		events  []string
	}{
		{
			name: "same timeline", prepare: func(w *world) { w.startedSince(0x130002F8) },
			want:   []restore.ShiftFound{{Redo: 0x130002F8, RedoTimeline: 1, Stop: 0x120001E8, Timeline: 1}},
			events: []string{"NoHistory", "ShiftPoint", "ShiftFound"},
		},
		{
			name: "history in the archive",
			prepare: func(w *world) {
				w.startedSince(0x20000028)
				w.setOldControl(atTimeline, 3)
				w.write(w.c.Dir+"/wal/n1/00000003.history", "1\t0/13000000\tpromoted\n")
			},
			want:   []restore.ShiftFound{{Redo: 0x20000028, RedoTimeline: 3, Stop: 0x120001E8, Timeline: 1}},
			events: []string{"OtherHistory", "ShiftFound"},
		},
		{
			name: "history in the directory",
			prepare: func(w *world) {
				w.startedSince(0x20000028)
				w.setOldControl(atTimeline, 2)
				w.write(pgdata+"/pg_xlog/00000002.history", "1\t0/1F000000\tpromoted\n")
			},
			want:   []restore.ShiftFound{{Redo: 0x20000028, RedoTimeline: 2, Stop: 0x140001E8, Timeline: 1}},
			events: []string{"ShiftFound"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, golden.Zlib)
			w.recordedMappings()
			w.restored("TOWA5I")
			want := w.tree()
			w.must(os.RemoveAll(w.m.Path(pgdata)))
			w.must(os.RemoveAll(w.m.Path("/home/omm/ext1_r")))
			w.restored("TOWA5D")
			tt.prepare(w)
			w.must(w.run(w.again("TOWA5I", restore.IncrementalLSN)))
			w.sameTree(w.tree(), want)
			var found []restore.ShiftFound
			var events []string
			for _, e := range w.events {
				if e, ok := e.(restore.ShiftFound); ok {
					e.ID = 0
					found = append(found, e)
				}
				if name := strings.TrimPrefix(fmt.Sprintf("%T", e), "restore."); strings.Contains(name, "History") || strings.HasPrefix(name, "Shift") {
					events = append(events, name)
				}
			}
			if !slices.Equal(found, tt.want) || !slices.Equal(events, tt.events) {
				t.Errorf("found %+v, events %v", found, events)
			}
		})
	}
}
