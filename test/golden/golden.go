// Package golden has catalogs written by the real C tool, for the tests of
// validate and restore.
//
// testdata holds small ones, cut out of the recordings by cmd/trim: a subset
// of the lines of real lists with their files. Stored files and header arrays
// are C's byte for byte; content-crc, the byte counts and hdr_off are set
// anew. With the tag golden (make golden) the tests here run over the whole
// recordings in ../shared/golden.
//
// What a catalog means is left to internal/catalog and test/checker.
package golden

import (
	"embed"
	"io/fs"
	"testing"

	"gsprobackup/internal/fsx"
)

//go:embed testdata/*.tar.zst
var small embed.FS

// The small catalogs, all of them below /home/omm. Times are UTC.
const (
	// Mixed is be: FULL TOWAGE (none), PTRACK TOWAGJ (none), TOWAGN and
	// TOWAGR (zlib), instance n1. It is the catalog of the recording
	// 08_errors_corruption.
	Mixed = "mixed"
	// Zlib is backups_z: FULL TOWA57 and PTRACK TOWA5D, TOWA5I, all zlib,
	// instance n1, with an external directory, two tablespaces, a segment
	// file, a column-store file and a row-compressed relation.
	Zlib = "zlib"
	// Ptrack is backups: FULL TOW9UX (none) and PTRACK TOW9V2, TOW9V6 (with an
	// external directory), TOW9VA, TOW9VF (zlib), TOW9VJ, instance n1. It is
	// the catalog of the recordings 02_backups, 03b, 05_merge.
	Ptrack = "ptrack"
	// LZ4 is backups_lz4 with FULL TOWA5X, instance n1, without WAL.
	LZ4 = "lz4"
	// PGLZ is backups_pglz with FULL TOWA5M, instance n1, without WAL.
	PGLZ = "pglz"
	// Zstd is backups_zstd with FULL TOWA62, instance n1, without WAL.
	Zstd = "zstd"
	// Raw is cat with FULL TOWDFI (none), instance v: row-compressed
	// relations with raw blocks, on which C's restore crashes.
	Raw = "raw"
)

// Small lists the small catalogs: name, directory, instance and backups, FULL
// first.
var Small = []Catalog{
	{Mixed, "/home/omm/be", "n1", []string{"TOWAGE", "TOWAGJ", "TOWAGN", "TOWAGR"}},
	{Zlib, "/home/omm/backups_z", "n1", []string{"TOWA57", "TOWA5D", "TOWA5I"}},
	{LZ4, "/home/omm/backups_lz4", "n1", []string{"TOWA5X"}},
	{PGLZ, "/home/omm/backups_pglz", "n1", []string{"TOWA5M"}},
	{Zstd, "/home/omm/backups_zstd", "n1", []string{"TOWA62"}},
	{Raw, "/home/omm/cat", "v", []string{"TOWDFI"}},
}

// Replayed is only good for test/replay: its backups lack the server's map of
// changed blocks.
var Replayed = Catalog{Ptrack, "/home/omm/backups", "n1", []string{"TOW9UX", "TOW9V2", "TOW9V6", "TOW9VA", "TOW9VF", "TOW9VJ"}}

// Catalog names a catalog on a Machine.
type Catalog struct {
	Name, Dir, Instance string
	Backups             []string
}

// HasWAL tells whether the backups have their WAL; the recordings of some
// were cut before.
func (c Catalog) HasWAL() bool { return c.Name != LZ4 && c.Name != PGLZ && c.Name != Zstd }

// BackupDir is the directory of a backup.
func (c Catalog) BackupDir(id string) string { return c.Dir + "/backups/" + c.Instance + "/" + id }

// Lookup finds a small catalog.
func Lookup(name string) Catalog {
	for _, c := range append([]Catalog{Replayed}, Small...) {
		if c.Name == name {
			return c
		}
	}
	return Catalog{}
}

// Machine is a directory that stands for the root of a machine, so that
// absolute paths in catalogs and recordings mean what they say.
type Machine struct{ Dir string }

// Start lays a small catalog on a machine of its own.
func Start(t testing.TB, name string) (Machine, Catalog) {
	t.Helper()
	m := Machine{Dir: t.TempDir()}
	if err := Lay(m, name); err != nil {
		t.Fatal(err)
	}
	return m, Lookup(name)
}

// Lay lays a small catalog on a machine.
func Lay(m Machine, name string) error {
	f, err := small.Open("testdata/" + name + ".tar.zst")
	if err != nil {
		return err
	}
	defer f.Close()
	return Unpack(m.Dir, f, nil)
}

// Path is where a file of the machine really is.
func (m Machine) Path(name string) string { return m.Dir + name }

// FS is the machine's file system.
func (m Machine) FS() fsx.FS { return rootFS{dir: m.Dir, os: fsx.OS()} }

// rootFS gives absolute names their place below dir. Links are made and read
// as they are; those that lead out of the tree lead nowhere.
type rootFS struct {
	dir string
	os  fsx.FS
}

func (r rootFS) at(name string) string { return r.dir + name }

func (r rootFS) Open(name string) (fsx.File, error) { return r.os.Open(r.at(name)) }
func (r rootFS) OpenFile(name string, flag int, perm fs.FileMode) (fsx.File, error) {
	return r.os.OpenFile(r.at(name), flag, perm)
}
func (r rootFS) Mkdir(name string, perm fs.FileMode) error { return r.os.Mkdir(r.at(name), perm) }
func (r rootFS) Rename(oldName, newName string) error {
	return r.os.Rename(r.at(oldName), r.at(newName))
}
func (r rootFS) Remove(name string) error                   { return r.os.Remove(r.at(name)) }
func (r rootFS) Link(oldName, newName string) error         { return r.os.Link(r.at(oldName), r.at(newName)) }
func (r rootFS) Symlink(target, name string) error          { return r.os.Symlink(target, r.at(name)) }
func (r rootFS) Readlink(name string) (string, error)       { return r.os.Readlink(r.at(name)) }
func (r rootFS) Chmod(name string, mode fs.FileMode) error  { return r.os.Chmod(r.at(name), mode) }
func (r rootFS) Stat(name string) (fs.FileInfo, error)      { return r.os.Stat(r.at(name)) }
func (r rootFS) Lstat(name string) (fs.FileInfo, error)     { return r.os.Lstat(r.at(name)) }
func (r rootFS) ReadDir(name string) ([]fs.DirEntry, error) { return r.os.ReadDir(r.at(name)) }
func (r rootFS) SyncDir(name string) error                  { return r.os.SyncDir(r.at(name)) }
func (r rootFS) Statfs(name string) (fsx.Space, error)      { return r.os.Statfs(r.at(name)) }
