package replay

import (
	"fmt"
	"os"
	"path/filepath"

	"gsprobackup/internal/wal"
	"gsprobackup/test/opengaussd/ogwal"
)

// log writes what a recorded SQL statement wrote into the cluster's WAL, in the
// cluster's next transaction and at the machine's time. LSNs are where changes
// end, the commit behind them, so that records lie where they were recorded.
//
//	statement [LSN…]    changes and their commit, or the commit alone
//	point NAME          a restore point
//	snapshot            of running transactions, as the background writer does
//	checkpoint
//	switch              pg_switch_xlog()
func (w *world) log(words []string) error {
	var err error
	switch words[0] {
	case "statement":
		upTo := make([]wal.LSN, len(words)-1)
		for i := range upTo {
			if upTo[i], err = wal.ParseLSN(words[1+i]); err != nil {
				return err
			}
		}
		err = w.cluster.Statement(upTo...)
	case "point":
		_, err = w.cluster.RestorePoint(words[1])
	case "snapshot":
		_, _, err = w.cluster.WAL().Append(ogwal.RunningXacts(w.cluster.NextXID()))
	case "checkpoint":
		_, _, err = w.cluster.Checkpoint()
	case "switch":
		_, err = w.cluster.SwitchWAL()
	default:
		err = fmt.Errorf("no such statement: %q", words)
	}
	return err
}

// archive brings what the server has finished to dir, as archive_command did:
// segments and the notes about backups, from a segment on.
func (w *world) archive(dir, from string) error {
	var first uint64
	if _, err := fmt.Sscanf(from, "%X", &first); err != nil {
		return err
	}
	names, err := filepath.Glob(filepath.Join(w.cluster.Dir(), "pg_xlog", "0*"))
	if err != nil {
		return err
	}
	end := wal.SegmentNumber(w.cluster.WAL().End(), ogwal.SegSize)
	for _, name := range names {
		base := filepath.Base(name)
		_, segno, err := wal.ParseSegmentName(base[:24], ogwal.SegSize)
		if err != nil {
			return err
		}
		if segno < first || segno >= end {
			continue
		}
		// A second name costs nothing; nobody writes into a finished segment.
		if err := os.Link(name, filepath.Join(dir, base)); err != nil {
			return err
		}
	}
	return nil
}
