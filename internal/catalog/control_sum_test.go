package catalog

import (
	"bytes"
	"errors"
	"os"
	"testing"
	"time"

	"gsprobackup/internal/fsx"
)

// Damage is found; what somebody has written into the file is not damage: a
// backup is made older like that, and gets another status.
func TestControlSum(t *testing.T) {
	b := NewBackup(1626000000, ModeFull)
	b.Dir = t.TempDir()
	check := func() error { return CheckControlSum(fsx.OS(), b) }
	if err := SaveControl(fsx.OS(), b, time.UTC); err != nil || check() != nil {
		t.Fatal(err, check())
	}
	f, err := os.Open(b.ControlPath())
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(b.ControlPath())
	if err != nil {
		t.Fatal(err)
	}
	write := func(text []byte, modified time.Time) {
		t.Helper()
		if err := errors.Join(os.WriteFile(b.ControlPath(), text, 0o600), os.Chtimes(b.ControlPath(), time.Time{}, modified)); err != nil {
			t.Fatal(err)
		}
	}
	edited := append(raw, "recovery_time='2021-07-01 00:00:00'\n"...)
	write(edited, fi.ModTime().Add(time.Second))
	if err := check(); err != nil {
		t.Errorf("edited: %v", err)
	}
	flipped := bytes.Replace(raw, []byte("2021"), []byte("2020"), 1)
	write(edited, fi.ModTime())
	if file, err := fsx.OS().Open(b.ControlPath()); err != nil {
		t.Fatal(err)
	} else if _, err := fsx.GetXattr(file, controlSumAttr); errors.Is(err, fsx.ErrNoXattr) {
		return // this file system keeps no attributes
	}
	if err := check(); !errors.Is(err, ErrControlSum) {
		t.Errorf("damaged: %v", err)
	}
	write(flipped, fi.ModTime().Add(time.Second))
	if err := check(); !errors.Is(err, ErrControlSum) {
		t.Errorf("one byte changed: %v", err)
	}
}

// A file that set-backup replaces during the check is not damaged.
func TestControlReplacedMeanwhile(t *testing.T) {
	b := NewBackup(1626000000, ModeFull)
	b.Dir = t.TempDir()
	save := func() {
		t.Helper()
		if err := SaveControl(fsx.OS(), b, time.UTC); err != nil {
			t.Fatal(err)
		}
	}
	save()
	opened := 0
	fsys := openFS{fsx.OS(), func() {
		if opened++; opened == 1 {
			b.Note = "meanwhile"
			save()
		}
	}}
	if err := CheckControlSum(fsys, b); err != nil || opened == 0 {
		t.Errorf("opened %d files: %v", opened, err)
	}
}

// openFS tells of each file that was opened.
type openFS struct {
	fsx.FS
	opened func()
}

func (o openFS) Open(name string) (fsx.File, error) {
	defer o.opened()
	return o.FS.Open(name)
}
