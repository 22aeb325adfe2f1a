package opengaussd

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"gsprobackup/internal/cli"
	"gsprobackup/test/covering"
)

// Issue 5, "must show" 5: whatever options meet, a script finds the ID in the
// last line of a backup's output, and in the first.

// choice is one of the ways to give, or not to give, an option.
type choice []string

// backupChoices are the options of backup; the first choice is none where that
// is possible. What excludes each other is one list.
func backupChoices(dir string) [][]choice {
	flag := func(words ...string) []choice { return []choice{nil, words} }
	return [][]choice{
		{{"-b", "FULL"}, {"-b", "PTRACK"}, {"-b", "DELTA"}},
		{nil, {"--compress-algorithm=zlib", "--compress-level=0"}, {"--compress-algorithm=lz4", "--compress-level=5"},
			{"--compress-algorithm=zstd", "--compress-level=3"}},
		{nil, {"--compat=1.1"}, {"--compat=5.0"}},
		{nil, {"--log-level-console=verbose"}, {"--log-level-console=warning"}},
		{nil, {"--log-level-file=verbose"}, {"--log-level-file=info", "--log-directory=" + dir + "/log", "--log-filename=x-%d.log"}},
		{nil, {"--log-rotation-size=1"}, {"--log-rotation-age=1h"}},
		{nil, {"--delete-expired"}, {"--merge-expired"}},
		flag("--delete-wal"),
		{nil, {"--retention-redundancy=1"}, {"--retention-window=1", "--wal-depth=1"}},
		{nil, {"--ttl=1d"}, {"--expire-time=2099-01-01 00:00:00"}},
		flag("--compress"),
		flag("--error-log-filename=errors.log"),
		flag("--stream"),
		flag("-j", "2"),
		flag("--progress"),
		flag("--note=it's a note"),
		flag("--no-validate"),
		flag("--skip-block-validation"),
		flag("--no-sync"),
		flag("-C"),
		flag("-E", dir+"/external"),
		flag("--temp-slot"),
		flag("--slot=good"),
		flag("--backup-pg-log"),
		flag("--backup-pg-replslot"),
		flag("--dry-run"),
		flag("--rw-timeout=60", "--archive-timeout=60"),
		flag("--hints", "--explain", "--metrics-file="+dir+"/m.prom"),
	}
}

func TestLastLineOfABackup(t *testing.T) {
	t.Parallel()
	var levels []int
	for _, c := range backupChoices("") {
		levels = append(levels, len(c))
	}
	rows := covering.Rows(levels)
	t.Logf("%d combinations", len(rows))
	const shards = 4
	for shard := range shards {
		t.Run(fmt.Sprint(shard), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, small, Config{Slots: []string{"good"}})
			w.init()
			for _, d := range []string{"log", "external"} {
				if err := os.Mkdir(filepath.Join(w.dir, d), 0o700); err != nil {
					t.Fatal(err)
				}
			}
			choices := backupChoices(w.dir)
			for i := shard; i < len(rows); i += shards {
				var args []string
				for p, v := range rows[i] {
					args = append(args, choices[p][v]...)
				}
				w.lastLine(args)
			}
		})
	}
}

// retentionLine is what may follow the last line of a backup that was told to
// apply a retention policy (spec/cli.md §10.7, §10.9 and §10.11; WARNING for
// what is ours).
var retentionLine = regexp.MustCompile(`^(VERBOSE: |WARNING: |Progress: \[|` +
	`LOG: (REDUNDANCY|WINDOW)=|LOG: Backup \w+ is pinned|LOG: Consider |LOG: Check if |LOG: Retain |LOG: On timeline |` +
	`LOG: (Restore directories|Creating page header map|Rename |Thread \[)|` +
	`INFO: (Evaluate backups|Backup \w+, mode: |Consider |Merge incremental chain|Retention merging finished|Delete: |On timeline |` +
	`Logical WAL size|Resident WAL size|Nothing to remove|Timeline |There (is|are) no|Purging finished|` +
	`Progress: \(|Backup \w+: (keep|delete|merge|skip)|Merg|Validat|Begin validate|Finish validate|Backup \w+ (data files|WAL segments) are valid|Start merging|Backup files are successfully merged|Rename merged))`)

// lastLine takes one backup and looks at what it says.
func (w *world) lastLine(options []string) {
	w.t.Helper()
	w.keepOneChain(options)
	before := w.backups()
	args := append([]string{"backup", "-B", w.catalog, "--instance", "n1", "-h", "127.0.0.1", "-p", fmt.Sprint(w.srv.Port),
		"-U", GoldenUser, "-W", GoldenPassword, "-d", "testdb"}, options...)
	var both bytes.Buffer // as 2>&1 gives it
	env := cli.OSEnv()
	env.LookupEnv = func(string) (string, bool) { return "", false }
	env.Location, env.Signals, env.OpenTerminal, env.MaskArgument = time.UTC, false, nil, nil
	exit := cli.Run(append([]string{"gs_probackup"}, args...), cli.Streams{In: strings.NewReader(""), Out: &both, Err: &both}, env)
	if exit != 0 {
		w.t.Errorf("%q: exit %d\n%s", options, exit, clip(both.String()))
		return
	}
	has := func(o string) bool { return slices.Contains(options, o) }
	lines := strings.Split(strings.TrimSuffix(both.String(), "\n"), "\n")
	if has("--log-level-console=warning") {
		if i := slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(l, "INFO: ") }); i >= 0 {
			w.t.Errorf("%q: at level WARNING there is %q", options, lines[i])
		}
		return
	}
	start := regexp.MustCompile(`^INFO: Backup start, .*, backup ID: ([0-9A-Z]+), `)
	first := slices.IndexFunc(lines, start.MatchString)
	if first < 0 {
		w.t.Errorf("%q: no start in\n%s", options, clip(both.String()))
		return
	}
	id := start.FindStringSubmatch(lines[first])[1]
	if slices.Contains(before, id) {
		w.t.Errorf("%q: backup %s was there before", options, id)
	}
	last := slices.Index(lines, "INFO: Backup "+id+" completed")
	if last < 0 {
		w.t.Errorf("%q: no last line in\n%s", options, clip(both.String()))
		return
	}
	rest := lines[last+1:]
	retention := has("--delete-expired") || has("--merge-expired") || has("--delete-wal")
	if !retention && len(rest) > 0 {
		w.t.Errorf("%q: behind the last line there is\n%q", options, rest)
	}
	if i := slices.IndexFunc(rest, func(l string) bool { return !retentionLine.MatchString(l) }); i >= 0 {
		w.t.Errorf("%q: %q is behind the last line", options, rest[i])
	}
}

// keepOneChain makes room, and sees to it that an increment has a parent.
func (w *world) keepOneChain(options []string) {
	w.t.Helper()
	const most = 6
	if len(w.backups()) > most {
		for _, id := range w.backups() {
			if err := os.RemoveAll(filepath.Join(w.catalog, "backups", "n1", id)); err != nil {
				w.t.Fatal(err)
			}
		}
	}
	if len(w.backups()) == 0 && !slices.Contains(options, "FULL") {
		w.must(w.backupArgs("FULL", "--no-validate")...)
	}
}
