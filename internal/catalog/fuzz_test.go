package catalog

import (
	"io"
	"reflect"
	"testing"

	"gsprobackup/internal/fsx"
	"gsprobackup/internal/fsx/crashfs"
)

// FuzzReadConfig: whatever is in pg_probackup.conf is an error with words, or
// settings that are the same after writing and reading them.
func FuzzReadConfig(f *testing.F) {
	f.Add([]byte("# Backup instance information\npgdata = /data\nsystem-identifier = 215046882207064539\n"))
	f.Add([]byte("restore-command = 'cp ''/x/%f'' %p'\nlog-rotation-age=90min # c\nretention-window = 0x10\ncompress-algorithm = z\n"))
	f.Add([]byte("log-level-file = 'verb'\narchive-timeout = 5 min\nenable-dss = of\nBOGUS = 1\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		const path = "/c"
		fsys := crashfs.New() // in memory: a real one syncs, and few inputs would be tried
		err := fsx.WriteFileDurable(fsys, path, 0o600, func(w io.Writer) error {
			_, err := w.Write(data)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		cfg := NewConfig()
		if _, err := ReadConfig(fsys, path, cfg, func(UnknownOption) error { return nil }); err != nil {
			if err.Error() == "" {
				t.Fatal("error without words")
			}
			return
		}
		if err := SaveConfig(fsys, path, cfg); err != nil {
			return // a line of more than 1023 bytes
		}
		back := NewConfig()
		if _, err := ReadConfig(fsys, path, back, nil); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(cfg.Settings(), back.Settings()) {
			t.Fatalf("wrote %v, read %v", cfg.Settings(), back.Settings())
		}
	})
}

// FuzzParseID: what is accepted prints as something that means the same.
func FuzzParseID(f *testing.F) {
	for _, s := range []string{"QMR0ZE", " -5", "qmr0ze.x", "ZZZZZZZZZZZZZZZZ"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		id, err := ParseID(s)
		if err != nil {
			return
		}
		if back, err := ParseID(id.String()); err != nil || back != id {
			t.Fatalf("%q is %s, which is %s, %v", s, id, back, err)
		}
	})
}
