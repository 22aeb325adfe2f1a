package backup

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"gsprobackup/internal/event"
	"gsprobackup/internal/fsx"
	"gsprobackup/internal/fsx/faultfs"
	"gsprobackup/internal/pgdata"
	"gsprobackup/internal/remote"
	"gsprobackup/internal/usererr"
)

// A directory that cannot be read, such as a root-owned lost+found, ends the
// backup in the C tool's words; nothing is left out in silence. Hidden ones
// are passed over with a warning and not opened, as C does.
func TestUnreadableDirectory(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	for _, name := range []string{"base/lost+found", ".snapshot"} {
		if err := os.MkdirAll(filepath.Join(root, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	faulty := faultfs.New(fsx.OS())
	faulty.Inject(faultfs.Fault{
		Sticky: true, Err: &os.PathError{Op: "open", Path: filepath.Join(root, "base/lost+found"), Err: syscall.EACCES},
		Match: func(op faultfs.Op) bool {
			return op.Kind == faultfs.ReadDir && strings.HasSuffix(op.Path, "lost+found")
		},
	})
	faulty.Inject(faultfs.Fault{
		Sticky: true, Err: syscall.EACCES,
		Match: func(op faultfs.Op) bool { return op.Kind == faultfs.ReadDir && strings.HasSuffix(op.Path, ".snapshot") },
	})
	var hidden []string
	sink := event.Func(func(e event.Event) {
		if h, ok := e.(HiddenSkipped); ok {
			hidden = append(hidden, h.Path)
		}
	})
	r := &run{
		deps: Deps{Host: remote.Local(faulty), Sink: sink}, opts: Options{PGData: root},
		layout: pgdata.NewLayout(pgdata.OpenGauss, 9),
	}
	for name, list := range map[string]func(*listing) error{
		"data":     func(l *listing) error { return r.listData(context.Background(), l) },
		"external": func(l *listing) error { return r.listExternal(context.Background(), l, 1, root) },
	} {
		err := list(&listing{})
		var u *usererr.Error
		want := `Cannot open directory "` + filepath.Join(root, "base/lost+found") + `": Permission denied`
		if !errors.As(err, &u) || u.Text != want || u.ExitCode() != 1 {
			t.Errorf("%s: %v, want %s", name, err, want)
		}
		if !slices.Equal(hidden, []string{filepath.Join(root, ".snapshot")}) {
			t.Errorf("%s: hidden %q", name, hidden)
		}
		hidden = nil
	}
}
