package catalog

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"gsprobackup/internal/catalog/lock"
	"gsprobackup/internal/event"
	"gsprobackup/internal/fsx"
	"gsprobackup/internal/usererr"
)

// Instance is one database instance in a catalog.
type Instance struct {
	name, dir, walDir string
	env
}

// Name is the name given as --instance.
func (i *Instance) Name() string { return i.name }

// Dir is the directory that holds the backups and the configuration.
func (i *Instance) Dir() string { return i.dir }

// WALDir is the instance's WAL archive.
func (i *Instance) WALDir() string { return i.walDir }

// ConfigPath is the path of pg_probackup.conf.
func (i *Instance) ConfigPath() string { return filepath.Join(i.dir, ConfigName) }

// WithSink is the same instance with another receiver of warnings, for those
// who read the catalog a second time.
func (i *Instance) WithSink(sink event.Sink) *Instance {
	other := *i
	other.sink = sink
	return &other
}

// LoadConfig reads the instance's file into cfg; an unknown key is an error.
func (i *Instance) LoadConfig(cfg *Config) error {
	_, err := ReadConfig(i.fs, i.ConfigPath(), cfg, nil)
	return err
}

// SharedStorage tells whether the instance is of a data directory on shared
// storage; one without configuration is not.
func (i *Instance) SharedStorage() (bool, error) {
	cfg := NewConfig()
	_, err := ReadConfig(i.fs, i.ConfigPath(), cfg, func(UnknownOption) error { return nil })
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return cfg.SharedStorage(), err
}

// SaveConfig replaces the instance's file, durably.
func (i *Instance) SaveConfig(cfg *Config) error { return SaveConfig(i.fs, i.ConfigPath(), cfg) }

// maxName is the longest file name of the usual file systems in bytes.
const maxName = 255

// checkName refuses names that would not stay one directory of the catalog;
// the C tool takes them all (spec/cli.md §13 row 8).
func checkName(name string) error {
	switch {
	case name == "", name == ".", name == "..", len(name) > maxName,
		strings.ContainsFunc(name, func(r rune) bool { return r == '/' || r < ' ' || r == 0x7f }):
		return usererr.New("Invalid instance name '%s'", name).
			WithHint("an instance name is one directory name without slashes and control characters")
	}
	return nil
}

// AddInstance creates both directories of an instance and its configuration,
// durably. On an error after the first step it takes back what it has made.
func (c *Catalog) AddInstance(ctx context.Context, name string, cfg *Config) (*Instance, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	for _, dir := range []string{c.root, c.BackupsDir(), c.WALRoot()} {
		if _, err := c.fs.Stat(dir); err != nil {
			return nil, usererr.Wrap(err, "Directory does not exist: '%s'", dir)
		}
	}
	i := c.instance(name)
	if _, err := c.fs.Lstat(i.dir); err == nil {
		return nil, usererr.New("Instance '%s' backup directory already exists: '%s'", name, i.dir)
	}
	if _, err := c.fs.Lstat(i.walDir); err == nil {
		return nil, usererr.New("Instance '%s' WAL archive directory already exists: '%s'", name, i.walDir)
	}
	if err := i.create(cfg); err != nil {
		return nil, err
	}
	return i, nil
}

// create undoes only what it has made itself: another add-instance may be
// running for the same name.
func (i *Instance) create(cfg *Config) (err error) {
	var made []string
	defer func() {
		if err == nil {
			return
		}
		for n := len(made) - 1; n >= 0; n-- {
			err = errors.Join(err, fsx.RemoveIfThere(i.fs, made[n]))
		}
	}()
	for _, dir := range []string{i.walDir, i.dir} {
		if err := i.fs.Mkdir(dir, dirMode); err != nil {
			return cannotCreate(dir, err)
		}
		made = append(made, dir)
		if err := i.fs.SyncDir(filepath.Dir(dir)); err != nil {
			return cannotCreate(dir, err)
		}
	}
	made = append(made, i.ConfigPath())
	return i.SaveConfig(cfg)
}

// maxSeconds is how far ahead of the clock an ID may be: more often than that
// nobody starts a backup, or the clock is wrong.
const maxSeconds = 3600

// NewBackupDir creates the directory of a backup that starts now, with
// database/ and as many externaldirN, durably, and returns its control data in
// status RUNNING. When the second is taken, by a failed attempt or by another
// backup, the next free one is the ID: it must name the directory. Free are
// seconds behind the newest backup, see firstID.
func (i *Instance) NewBackupDir(start time.Time, mode Mode, externalDirs int) (*Backup, error) {
	b := NewBackup(0, mode)
	first, err := i.firstID(start)
	if err != nil {
		return nil, err
	}
	for id := first; ; id++ {
		b.ID, b.Dir = id, filepath.Join(i.dir, id.String())
		err := i.fs.Mkdir(b.Dir, dirMode)
		if err == nil {
			break
		}
		if !errors.Is(err, fs.ErrExist) || int64(id)-start.Unix() >= maxSeconds {
			return nil, cannotCreate(b.Dir, err)
		}
	}
	if err := i.fillBackupDir(b, externalDirs); err != nil {
		// An empty directory would be listed as a backup.
		return nil, errors.Join(err, fsx.RemoveTree(context.Background(), i.fs, b.Dir))
	}
	return b, nil
}

// firstID is the first ID that a backup started now may have: behind all there
// are, since chains go by the order of the IDs. Those may be ahead of the
// clock, after several backups in a second of which a merge or a deletion has
// freed the first, or when the clock was put back a little. One further ahead
// than maxSeconds does not count.
func (i *Instance) firstID(start time.Time) (ID, error) {
	now := ID(start.Unix())
	entries, err := i.fs.ReadDir(i.dir)
	if err != nil {
		return 0, cannotCreate(i.dir, err)
	}
	first := now
	for _, e := range entries {
		if id := decodeID(e.Name()); e.IsDir() && id >= first && id < now+maxSeconds {
			first = id + 1
		}
	}
	return first, nil
}

func (i *Instance) fillBackupDir(b *Backup, externalDirs int) error {
	dirs := []string{b.DatabaseDir()}
	sync := []string{b.Dir, i.dir}
	if externalDirs > 0 {
		external := filepath.Join(b.Dir, ExternalName)
		dirs = append(dirs, external)
		sync = append(sync, external)
	}
	for n := 1; n <= externalDirs; n++ {
		dirs = append(dirs, b.ExternalDir(n))
	}
	for _, dir := range dirs {
		if err := i.fs.Mkdir(dir, dirMode); err != nil {
			return cannotCreate(dir, err)
		}
	}
	for _, dir := range sync {
		if err := i.fs.SyncDir(dir); err != nil {
			return fmt.Errorf("sync directory of backup %s: %w", b.ID, err)
		}
	}
	return nil
}

// SaveControl replaces b's control file, durably.
func (i *Instance) SaveControl(b *Backup) (err error) {
	release, err := lock.Turn(i.fs, b.DatabaseDir())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, release()) }()
	return SaveControl(i.fs, b, i.loc)
}

// UpdateControl reads b's control file again, lets change edit it, writes it
// back durably and gives the new data to b. So a change of status does not
// undo what another command has written meanwhile (spec/formats.md §3.2). Our
// own commands take turns: set-backup has no lock on the backup.
func (i *Instance) UpdateControl(b *Backup, change func(*Backup)) (err error) {
	release, err := lock.Turn(i.fs, b.DatabaseDir())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, release()) }()
	fresh, err := ReadControl(i.fs, b.ControlPath(), i.sink)
	if err != nil {
		return err
	}
	fresh.Dir = b.Dir
	sum := controlSum
	if err := CheckControlSum(i.fs, fresh); errors.Is(err, ErrControlSum) {
		sum = func([]byte) string { return damagedSum }
	}
	change(fresh)
	if err := saveControl(i.fs, fresh, i.loc, sum); err != nil {
		return err
	}
	*b = *fresh
	return nil
}

// SetStatus is UpdateControl for the status alone.
func (i *Instance) SetStatus(b *Backup, s Status) error {
	return i.UpdateControl(b, func(fresh *Backup) { fresh.Status = s })
}

// NewLocker returns a lock.Locker on the instance's file system that emits to
// its sink.
func (i *Instance) NewLocker() *lock.Locker { return lock.New(i.fs, i.sink) }

// LockBackup locks b, or tells in the C tool's words that it cannot; the
// error has lock.ErrHeld inside when somebody else uses the backup.
func LockBackup(ctx context.Context, locker *lock.Locker, b *Backup, intent lock.Intent) (*lock.Lock, error) {
	k, err := locker.Acquire(ctx, b.Dir, b.ID.String(), intent)
	if errors.Is(err, lock.ErrHeld) {
		return nil, usererr.Wrap(err, "Cannot lock backup %s directory", b.ID)
	}
	return k, err
}

// RemoveInstance deletes all backups of i, its WAL archive, its configuration
// and both directories. Nothing is deleted unless every backup can be locked,
// or if there is a directory that is no backup.
func (c *Catalog) RemoveInstance(ctx context.Context, i *Instance) (err error) {
	list, err := i.Backups(ctx)
	if err != nil {
		return err
	}
	if err := i.CheckForeign(list); err != nil {
		return err
	}
	locker := i.NewLocker()
	for _, b := range list {
		k, lockErr := LockBackup(ctx, locker, b, lock.Intent{Destructive: true, WithoutSpace: true})
		if lockErr != nil {
			return lockErr
		}
		defer func() { err = errors.Join(err, k.Release()) }()
	}
	for _, b := range list {
		if err := i.DeleteBackup(ctx, locker, b); err != nil {
			return err
		}
	}
	if _, err := c.fs.ReadDir(i.walDir); err != nil {
		return usererr.Wrap(err, `could not open directory "%s": %s`, i.walDir, usererr.SystemText(err))
	}
	if err := fsx.RemoveTree(ctx, c.fs, i.walDir); err != nil {
		return fmt.Errorf("delete WAL archive of instance %s: %w", i.name, err)
	}
	// Leftovers of an interrupted write go too; anything else in the
	// directory is not ours and stops the removal.
	for _, name := range []string{i.ConfigPath() + ".tmp", i.ConfigPath(), i.dir} {
		if err := fsx.RemoveIfThere(i.fs, name); err != nil {
			return usererr.Wrap(err, `Can't remove "%s": %s`, name, usererr.SystemText(err))
		}
	}
	if err := errors.Join(c.fs.SyncDir(c.WALRoot()), c.fs.SyncDir(c.BackupsDir())); err != nil {
		return fmt.Errorf("delete instance %s: %w", i.name, err)
	}
	return nil
}
