package catalog

import (
	"errors"
	"io/fs"
	"os"
	"testing"
	"time"

	"gsprobackup/internal/event"
	"gsprobackup/internal/fsx"
	"gsprobackup/internal/fsx/crashfs"
)

// crashInstance makes an instance with one backup in status DONE and a file.
func crashInstance(f fsx.FS) error {
	c := Open(f, "/b", Options{Location: time.UTC})
	if err := c.Init(); err != nil {
		return err
	}
	i, err := c.AddInstance(ctx, "n1", NewConfig())
	if err != nil {
		return err
	}
	b, err := i.NewBackupDir(time.Unix(1610361930, 0), ModeFull, 0)
	if err != nil {
		return err
	}
	file, err := f.OpenFile(b.DatabaseDir()+"/x", os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	b.Status = StatusDone
	return errors.Join(file.Close(), i.SaveControl(b))
}

func openInstance(f fsx.FS) *Instance {
	return Open(f, "/b", Options{Location: time.UTC}).instance("n1")
}

func TestCrashWhileChangingStatus(t *testing.T) {
	crashfs.EachStep(t, crashInstance, func(f fsx.FS) error {
		i := openInstance(f)
		list, err := i.Backups(ctx)
		if err != nil {
			return err
		}
		if list[0].Unreadable {
			return errors.New("cannot read")
		}
		return i.SetStatus(list[0], StatusOK)
	}, func(s crashfs.Step, f *crashfs.FS) {
		b, err := ReadControl(f, "/b/backups/n1/QMRN7U/backup.control", event.Discard)
		if err != nil {
			t.Fatalf("%s: %v", s, err)
		}
		if b.Status != StatusOK && (s.Done || b.Status != StatusDone) {
			t.Errorf("%s: status %s", s, b.Status)
		}
	})
}

func TestCrashWhileDeleting(t *testing.T) {
	crashfs.EachStep(t, crashInstance, func(f fsx.FS) error {
		i := openInstance(f)
		list, err := i.Backups(ctx)
		if err != nil {
			return err
		}
		if list[0].Unreadable {
			return errors.New("cannot read")
		}
		return i.DeleteBackup(ctx, i.NewLocker(), list[0])
	}, func(s crashfs.Step, f *crashfs.FS) {
		list, err := openInstance(f).Backups(ctx)
		if err != nil {
			t.Fatalf("%s: %v", s, err)
		}
		if len(list) == 0 {
			return
		}
		if s.Done {
			t.Errorf("%s: still there", s)
		}
		_, err = f.Stat(list[0].DatabaseDir() + "/x")
		if list[0].Status == StatusDone && err != nil {
			t.Errorf("%s: a damaged backup says %s: %v", s, list[0].Status, err)
		}
	})
}

func TestCrashWhileCreating(t *testing.T) {
	crashfs.EachStep(t, func(fsx.FS) error { return nil }, crashInstance, func(s crashfs.Step, f *crashfs.FS) {
		if !s.Done {
			return
		}
		for _, name := range []string{"/b/wal/n1", "/b/backups/n1/pg_probackup.conf", "/b/backups/n1/QMRN7U/database"} {
			if _, err := f.Stat(name); err != nil {
				t.Errorf("%s: %v", s, err)
			}
		}
		b, err := ReadControl(f, "/b/backups/n1/QMRN7U/backup.control", event.Discard)
		if err != nil || b.Status != StatusDone {
			t.Errorf("%s: %v", s, err)
		}
	})
}

func TestCrashWhileWritingConfigAndList(t *testing.T) {
	entries := []Entry{{Path: "x", Mode: 0o100600}}
	b := NewBackup(1610361930, ModeFull)
	b.Dir = "/b/backups/n1/" + b.ID.String()
	crashfs.EachStep(t, func(f fsx.FS) error {
		return errors.Join(crashInstance(f), SaveContent(f, b, false, pointers(nil)))
	}, func(f fsx.FS) error {
		i := openInstance(f)
		cfg := NewConfig()
		if err := i.LoadConfig(cfg); err != nil {
			return err
		}
		if err := cfg.Set(FindConfigOption("pgport"), "5432", FromCommandLine); err != nil {
			return err
		}
		if err := i.SaveConfig(cfg); err != nil {
			return err
		}
		return SaveContent(f, b, false, pointers(entries))
	}, func(s crashfs.Step, f *crashfs.FS) {
		cfg := NewConfig()
		if err := openInstance(f).LoadConfig(cfg); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
		unchecked := *b
		unchecked.ContentCRC = 0
		got, err := LoadContent(f, &unchecked)
		if errors.Is(err, fs.ErrNotExist) || err != nil || len(got) > 1 {
			t.Errorf("%s: %v %v", s, got, err)
		}
		if s.Done && (cfg.PGPort != "5432" || len(got) != 1) {
			t.Errorf("%s: port %q, %d entries", s, cfg.PGPort, len(got))
		}
	})
}
