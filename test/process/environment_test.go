package process

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What cron gives a job, and what it does not.
func TestEnvironments(t *testing.T) {
	w := newWorld(t)
	want := w.ok("show", "-B", w.catalog, "--format=json").stdout
	for _, tt := range []struct{ name, line string }{
		{"no environment", `env -i "$tool" show -B "$B" --format=json`},
		{"no HOME", `unset HOME; "$tool" show -B "$B" --format=json`},
		{"no PATH", `PATH=; "$tool" show -B "$B" --format=json`},
		{"no such locale", `LANG=xx_YY.UTF-8 LC_ALL=zh_CN.gb18030 "$tool" show -B "$B" --format=json`},
		{"no such terminal", `TERM=dumb COLUMNS=1 "$tool" show -B "$B" --format=json`},
		{"no right to the current directory", `mkdir "$dir/closed"; cd "$dir/closed"; chmod 0 .; "$tool" show -B "$B" --format=json`},
		{"no current directory", `mkdir "$dir/gone"; cd "$dir/gone"; rmdir "$dir/gone"; "$tool" show -B "$B" --format=json`},
		{"few open files", `ulimit -n 16; "$tool" show -B "$B" --format=json`},
	} {
		r := w.run(w.shell(tt.line), nil, nil)
		if r.exit != 0 || r.stdout != want || r.stderr != "" {
			t.Errorf("%s: %v", tt.name, r)
		}
	}
}

// All the forms of TZ that the C library knows.
func TestTimeZones(t *testing.T) {
	w := newWorld(t)
	start := func(tz string) string {
		r := w.run(w.shell(`TZ="`+tz+`" "$tool" show -B "$B" --format=json | grep start-time`), nil, nil)
		_, value, _ := strings.Cut(r.stdout, `": "`)
		return strings.TrimSuffix(strings.TrimSpace(value), `",`)
	}
	utc := start("UTC")
	offsets := map[string]string{
		"CST-8": "+08", "<+0530>-5:30": "+05:30", "EST5": "-05",
		"UTC0": "+00", "": "+00", "No/Such": "+00", "CST": "+00",
		"AAA3BBB2,0/0,365/25": "-02", // always in summer time
	}
	if _, err := os.Stat("/usr/share/zoneinfo/Asia/Shanghai"); err == nil { // the machine has the database of zones
		offsets["Asia/Shanghai"], offsets[":Asia/Shanghai"] = "+08", "+08"
	}
	for tz, offset := range offsets {
		got := start(tz)
		if !strings.HasSuffix(got, offset) || len(got) != len(utc)-len("+00")+len(offset) {
			t.Errorf("TZ=%s: %q, want offset %s", tz, got, offset)
		}
	}
}

// The catalog is closed to others whatever the umask; log files follow it.
func TestUmasks(t *testing.T) {
	w := newWorld(t)
	for _, tt := range []struct {
		umask string
		log   fs.FileMode
	}{{"022", 0o644}, {"027", 0o640}, {"077", 0o600}} {
		b := filepath.Join(w.dir, "umask"+tt.umask)
		r := w.run(w.shell(`umask `+tt.umask+`; B="$dir/umask`+tt.umask+`"
			"$tool" init -B "$B" && "$tool" add-instance -B "$B" --instance n1 -D "$dir/data" &&
			"$tool" set-config -B "$B" --instance n1 --retention-window=7 --log-level-file=info`), nil, nil)
		if r.exit != 0 {
			t.Fatal(r)
		}
		for path, mode := range map[string]fs.FileMode{
			"": 0o700, "backups": 0o700, "wal": 0o700, "backups/n1": 0o700, "wal/n1": 0o700, "log": 0o700,
			"log/pg_probackup.log": tt.log, "log/pg_probackup.log.rotation": tt.log, "backups/n1/pg_probackup.conf": tt.log,
		} {
			fi, err := os.Stat(filepath.Join(b, path))
			if err != nil {
				t.Error(err)
			} else if fi.Mode().Perm() != mode {
				t.Errorf("umask %s: %s has mode %v, want %v", tt.umask, path, fi.Mode().Perm(), mode)
			}
		}
	}
}

// A catalog that may only be read, as a copy in a vault is: it is shown, and
// it is checked.
func TestReadOnlyCatalog(t *testing.T) {
	w := newWorld(t)
	r := w.run(w.shell(`chmod -R a-w "$B"; "$tool" show -B "$B" && "$tool" show -B "$B" --instance n1 --archive && "$tool" show-config -B "$B" --instance n1`), nil, nil)
	if r.exit != 0 || r.stderr != "" || !strings.Contains(r.stdout, " OK ") {
		t.Errorf("show: %v", r)
	}
	r = w.run(w.shell(`"$tool" validate -B "$B" --instance n1`), nil, nil)
	if r.exit != 0 || !strings.HasSuffix(r.stderr, " WAL segments are valid\nINFO: All backups are valid\n") {
		t.Errorf("validate: %v", r)
	}
	r = w.run(w.shell(`"$tool" restore -B "$B" --instance n1 -D "$dir/new" --no-sync`), nil, nil)
	if r.exit != 0 || !strings.Contains(r.stderr, "INFO: Restore of backup ") {
		t.Errorf("restore: %v", r)
	}
	for _, line := range []string{
		`"$tool" delete -B "$B" --instance n1 --status=OK`,
		`"$tool" set-backup -B "$B" --instance n1 -i $(ls "$B/backups/n1" | head -n 1) --note=x`,
		`"$tool" set-config -B "$B" --instance n1 --retention-window=1`,
	} {
		if r := w.run(w.shell(line), nil, nil); r.exit != 1 || !strings.Contains(r.stderr, "ermission denied") {
			t.Errorf("%s: %v", line, r)
		}
	}
}
