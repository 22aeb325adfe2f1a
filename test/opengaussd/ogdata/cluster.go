package ogdata

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"

	"gsprobackup/internal/wal"
	"gsprobackup/test/opengaussd/ogwal"
)

// Options describe a cluster to make.
type Options struct {
	Dir string // PGDATA; must not exist
	// Tablespaces is where tablespaces with an absolute location go, outside
	// Dir; "" for none.
	Tablespaces string
	// NoTablespaces leaves the relative tablespace out, too.
	NoTablespaces bool
	// RelSegBlocks is the relation segment size; 0 means 131072, as in every
	// build. Smaller ones make relations of several segments cheap.
	RelSegBlocks uint32
	// BigRelation adds a relation of one and a half segments; with the default
	// RelSegBlocks these are 1.5 GiB, nearly all holes.
	BigRelation bool
	// BigRowCompressed adds a row-compressed relation of two files, more than
	// 130048 blocks, nearly all of them never written.
	BigRowCompressed bool
	// RealSegments keeps the real segment-page files (3 × 128 MiB, mostly
	// holes) next to the small ones made here.
	RealSegments bool
	// NoRowCompressed leaves row-compressed relations out.
	NoRowCompressed bool
	// NoDoubleWrite leaves the sparse 2 × 256 MiB double-write files out.
	NoDoubleWrite bool
	// WALStart is where the log begins; 0 means behind every LSN in the real
	// files. An earlier one leaves the files out whose pages have those.
	WALStart wal.LSN
	// NextXID is the first transaction after those that make the cluster; 0
	// means the one that was next in the real cluster, and those.
	NextXID uint64
	// Now is the server's clock; nil means time.Now.
	Now func() time.Time
}

// Node is the node name in the tablespaces' version directories.
const Node = "og1"

// versionDir is a tablespace's directory (formats.md §7.7).
const versionDir = "PG_9.2_201611171_" + Node

// walStart is behind every LSN in the real files.
const walStart wal.LSN = 0x5D000000

// Database is a row of pg_database.
type Database struct {
	OID  uint32
	Name string
}

// Tablespace is a user tablespace: Location is what
// pg_tablespace_location() prints, Target where the link points to.
type Tablespace struct {
	OID              uint32
	Location, Target string
}

// Cluster is a data directory with its WAL. All methods may be called from
// several goroutines.
type Cluster struct {
	opts    Options
	control control
	wal     *ogwal.Writer

	mu          sync.Mutex
	databases   []Database
	tablespaces []Tablespace
	nextXID     uint64
	nextOID     uint32
	cbm         changeMap
	rng         *rand.Rand
	life        life
}

// New makes the data directory.
func New(o Options) (*Cluster, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.RelSegBlocks == 0 {
		o.RelSegBlocks = 131072
	}
	if o.WALStart == 0 {
		o.WALStart = walStart
	}
	if err := os.Mkdir(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make data directory: %w", err)
	}
	real, err := filepath.EvalSymlinks(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("make data directory: %w", err)
	}
	o.Dir = real
	first := uint64(12867)
	if o.NextXID != 0 {
		first = 3 // as initdb begins
	}
	c := &Cluster{opts: o, nextXID: first, nextOID: 30000, rng: rand.New(rand.NewPCG(1, 2))}
	if err := unpackImage(o.Dir, c.wanted); err != nil {
		return nil, err
	}
	if c.control, err = readControl(o.Dir); err != nil {
		return nil, err
	}
	c.control.put32(196, o.RelSegBlocks)
	if c.wal, err = ogwal.New(filepath.Join(o.Dir, "pg_xlog"), c.SystemID(), o.WALStart); err != nil {
		return nil, err
	}
	if err := os.Mkdir(filepath.Join(o.Dir, "pg_xlog", "archive_status"), 0o700); err != nil {
		return nil, err
	}
	c.cbm = changeMap{tracking: true, started: true, tracked: c.wal.Next(), dir: filepath.Join(o.Dir, "pg_cbm")}
	c.databases = []Database{{16384, "testdb"}, {14876, "postgres"}, {16630, "rawdb"}}
	for _, step := range []func() error{c.makeDirs, c.makeTablespaces, c.makeFiles, c.populate} {
		if err := step(); err != nil {
			return nil, errors.Join(err, c.wal.Close())
		}
	}
	c.nextXID = max(c.nextXID, o.NextXID)
	_, _, err = c.Checkpoint()
	return c, err
}

// relationFile is a file of pages.
var relationFile = regexp.MustCompile(`^(base/\d+|global)/\d+(_\w+)?(\.\d+)?$`)

// wanted chooses files of the image.
func (c *Cluster) wanted(path string) bool {
	if c.opts.WALStart < walStart && relationFile.MatchString(path) {
		return false
	}
	switch path {
	case "base/16630/1", "base/16630/2", "base/16630/2_fsm":
		return c.opts.RealSegments
	case "global/pg_dw_0", "global/pg_dw_single":
		return !c.opts.NoDoubleWrite
	}
	return !c.opts.NoRowCompressed || !strings.HasSuffix(path, "_compress")
}

// Close closes the WAL; the files stay.
func (c *Cluster) Close() error { return c.wal.Close() }

// Dir is PGDATA.
func (c *Cluster) Dir() string { return c.opts.Dir }

// WAL is the cluster's log.
func (c *Cluster) WAL() *ogwal.Writer { return c.wal }

// SystemID is the cluster's system identifier.
func (c *Cluster) SystemID() uint64 { return c.control.systemID() }

// NextXID is the next transaction's number, txid_snapshot_xmax.
func (c *Cluster) NextXID() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.nextXID
}

// Databases lists what pg_database holds, without the templates.
func (c *Cluster) Databases() []Database {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]Database(nil), c.databases...)
}

// Tablespaces lists the user tablespaces.
func (c *Cluster) Tablespaces() []Tablespace {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]Tablespace(nil), c.tablespaces...)
}

func (c *Cluster) makeDirs() error {
	for _, dir := range []string{
		"base/14871", "base/14876", "base/16384", "base/pgsql_tmp", "pg_location/tsrel/ts2", "pg_dynshmem", "gs_secure_files",
		"pg_replslot/slot_a", "pg_log",
	} {
		if err := os.MkdirAll(filepath.Join(c.opts.Dir, dir), 0o700); err != nil {
			return fmt.Errorf("make data directory: %w", err)
		}
	}
	return nil
}

// makeTablespaces links a relative tablespace, whose files are inside PGDATA,
// and an absolute one (formats.md §7.7, golden cluster_setup.txt).
func (c *Cluster) makeTablespaces() error {
	if c.opts.NoTablespaces {
		return nil
	}
	c.tablespaces = []Tablespace{{16386, "tsrel/ts2", filepath.Join(c.opts.Dir, "pg_location/tsrel/ts2")}}
	if dir := c.opts.Tablespaces; dir != "" {
		c.tablespaces = append(c.tablespaces, Tablespace{16385, filepath.Join(dir, "ts1"), filepath.Join(dir, "ts1")})
	}
	for _, ts := range c.tablespaces {
		for _, dir := range []string{"16384", "pgsql_tmp"} {
			if err := os.MkdirAll(filepath.Join(ts.Target, versionDir, dir), 0o700); err != nil {
				return fmt.Errorf("make tablespace: %w", err)
			}
		}
		if err := os.Symlink(ts.Target, filepath.Join(c.opts.Dir, "pg_tblspc", fmt.Sprint(ts.OID))); err != nil {
			return fmt.Errorf("make tablespace: %w", err)
		}
	}
	return nil
}

// makeFiles adds what the image lacks and what a backup must leave out.
func (c *Cluster) makeFiles() error {
	files := map[string]string{
		"base/14871/PG_VERSION": "9.2\n", "base/14876/PG_VERSION": "9.2\n", "base/16384/PG_VERSION": "9.2\n",
		"gs_secure_files/secret": "key\n", "pg_replslot/slot_a/snap.replslot": "slot\n",
		"pg_stat_tmp/pgstat.stat": "statistics\n", "pg_notify/000000000000": "notify\n",
		"pg_log/postgresql-2026-11-22_081826.log": "log\n", "base/pgsql_tmp/pgsql_tmp1.0": "temporary\n",
		"postgresql.auto.conf.tmp": "x\n", "base/16384/pg_internal.init": "cache\n",
		"base/16384/t12_40000": strings.Repeat("temporary relation ", 100), ".hidden": "x\n",
		"base/16384/16700_b12": strings.Repeat("hash bucket ", 900), "base/16384/16463_C1_bcm": "map of column 1\n",
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(c.opts.Dir, name), []byte(text), 0o600); err != nil {
			return fmt.Errorf("make data directory: %w", err)
		}
	}
	for _, db := range []string{"14871", "14876", "16384"} {
		for _, name := range []string{"pg_filenode.map", "pg_filenode.map.backup"} {
			b, err := os.ReadFile(filepath.Join(c.opts.Dir, "base/1", name))
			if err != nil {
				return fmt.Errorf("make data directory: %w", err)
			}
			if err := os.WriteFile(filepath.Join(c.opts.Dir, "base", db, name), b, 0o600); err != nil {
				return fmt.Errorf("make data directory: %w", err)
			}
		}
	}
	return nil
}

// Checkpoint writes the records of an online checkpoint, then pg_control, and
// lets changed block tracking come up to the redo point (server.md §2.3).
func (c *Cluster) Checkpoint() (redo, checkpoint wal.LSN, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.checkpoint()
}

func (c *Cluster) checkpoint() (redo, checkpoint wal.LSN, err error) {
	now := c.opts.Now()
	if redo, _, err = c.wal.Append(ogwal.StandbyCSN(c.nextXID)); err != nil {
		return 0, 0, err
	}
	if _, _, err = c.wal.Append(ogwal.RunningXacts(c.nextXID)); err != nil {
		return 0, 0, err
	}
	c.control.begin(redo, now, c.nextXID, c.nextOID)
	rec, err := ogwal.CheckpointOnline(c.control.checkPointCopy())
	if err != nil {
		return 0, 0, err
	}
	if checkpoint, _, err = c.wal.Append(rec); err != nil {
		return 0, 0, err
	}
	c.control.finish(now, checkpoint)
	if err := c.control.write(c.opts.Dir); err != nil {
		return 0, 0, err
	}
	return redo, checkpoint, c.cbm.advance(redo)
}

// BeginBackup is what pg_start_backup does on a primary: a segment switch,
// then a checkpoint, so that start is behind a segment's first header.
func (c *Cluster) BeginBackup() (start, checkpoint wal.LSN, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, err := c.wal.Switch(); err != nil {
		return 0, 0, err
	}
	return c.checkpoint()
}

// EndBackup writes the end record and switches; stop is the position of the
// switch record (golden 11_wire: 0/4D0001E8).
func (c *Cluster) EndBackup(start wal.LSN) (stop wal.LSN, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, stop, err = c.wal.Append(ogwal.BackupEnd(start)); err != nil {
		return 0, err
	}
	_, err = c.wal.Switch()
	return stop, err
}

// SwitchWAL ends the segment.
func (c *Cluster) SwitchWAL() (wal.LSN, error) {
	_, err := c.wal.Switch()
	return c.wal.End(), err
}

// RestorePoint writes a named restore point and returns its end.
func (c *Cluster) RestorePoint(name string) (wal.LSN, error) {
	_, end, err := c.wal.Append(ogwal.RestorePoint(c.opts.Now(), name))
	return end, err
}

// Redo and LastCheckpoint are the positions in pg_control.
func (c *Cluster) Redo() wal.LSN {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.control.redo()
}

// LastCheckpoint is the position of the latest checkpoint record.
func (c *Cluster) LastCheckpoint() wal.LSN {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.control.checkpoint()
}

// SetMinRecovery stores a standby's minimum recovery point in pg_control.
func (c *Cluster) SetMinRecovery(lsn wal.LSN) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.control.setMinRecovery(lsn)
	return c.control.write(c.opts.Dir)
}

// commit logs a change of n bytes and its commit; pages changed by it get the
// LSN behind the change.
func (c *Cluster) commit(n int) (wal.LSN, error) {
	data := make([]byte, n)
	for i := range data {
		data[i] = byte(c.rng.Uint32())
	}
	xid := c.nextXID
	c.nextXID++
	_, lsn, err := c.wal.Append(ogwal.Noop(xid, data))
	if err != nil {
		return 0, err
	}
	_, _, err = c.wal.Append(ogwal.Commit(xid, c.opts.Now()))
	return lsn, err
}
