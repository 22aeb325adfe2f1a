package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// base is a catalog with instance n1 (settings below) and its backups.
func baseWorld(t *testing.T) *world {
	w := newWorld(t)
	w.stage("unpack", "02_backups", home+"/b")
	w.stage("pgdata", home+"/data")
	return w
}

// Exit status and streams of spec/cli.md §1.1.
func TestInvocations(t *testing.T) {
	w := baseWorld(t)
	usage := "ERROR: Option is not found. Try \"gs_probackup --help\" for more information.\n\n"
	for _, tt := range []struct {
		args   string
		exit   int
		stdout string // its beginning
		stderr string
	}{
		{"", 1, "", "ERROR: No subcommand specified\n"},
		{"-B /x init", 1, "", "ERROR: Unknown subcommand \"-B\"\n"},
		{"Init", 1, "", "ERROR: Unknown subcommand \"Init\"\n"},
		{"backu", 1, "", "ERROR: Unknown subcommand \"backu\"\n"},
		{"checkdb", 1, "", "ERROR: Unknown subcommand \"checkdb\"\n"},
		{"completion", 1, "", "ERROR: Unknown subcommand \"completion\"\n"},
		{"__complete show", 1, "", "ERROR: Unknown subcommand \"__complete\"\n"},
		{"help", 0, "\ngs_probackup - utility to manage", ""},
		{"--help", 0, "\ngs_probackup - utility to manage", ""},
		{"-?", 0, "\ngs_probackup - utility to manage", ""},
		{"help init delete", 0, "\ngs_probackup init -B", ""},
		{"-? show", 0, "\ngs_probackup show -B", ""},
		{"help agent", 0, "Unknown command \"agent\". Try gs_probackup help\n", ""},
		{"help -V", 0, "No help page for \"-V\" command. Try gs_probackup help\n", ""},
		{"help help", 0, "No help page for \"help\" command. Try gs_probackup help\n", ""},
		{"version --foo", 0, "gs_probackup (openGauss 6.0.2 build ", ""},
		{"-V", 0, "gs_probackup (openGauss 6.0.2 build ", ""},
		{"-h", 1, "", "ERROR: Unknown subcommand \"-h\"\n"},
		{"show -?", 1, "", "/opt/ogfull/bin/gs_probackup: invalid option -- '?'\n" + usage},
		{"merge --help", 0, "\ngs_probackup merge -B", ""},
		{"merge --help --bogus", 1, "", "/opt/ogfull/bin/gs_probackup: unrecognized option '--bogus'\n" + usage},
		{"backup --help -W x -w", 1, "", "ERROR: You cannot specify --password and --no-password options together\n"},
		{"backup --help -T /a=/b", 1, "", "ERROR: If specify --tablespace-mapping option, you must specify --external-mapping option together\n"},
		{"agent 1.0", 1, "", "ERROR: Version mismatch, gs_probackup binary with version '2.4.2' is launched as an agent for gs_probackup binary with version '1.0'\n"},
		{"show -B /home/omm/b --instance n1 -i ZZZZ --format=json", 0, "{\n    \"backup_info\": [\n        {\n            \"instance\": \"n1\",\n            \"backups\": [\n            ]\n", ""},
		{"show -B /home/omm/b --log-level-console=off --instance=zz", 1, "", "WARNING: Failed to access directory \"/home/omm/b/backups/zz\": No such file or directory\nERROR: Instance 'zz' does not exist in this backup catalog\n"},
		{"merge -B /home/omm/b --instance=n1 --log-level-console=off", 1, "", ""},
	} {
		var args []string
		if tt.args != "" {
			args = strings.Fields(tt.args)
		}
		r := w.run(args, nil)
		if r.exit != tt.exit || r.stderr != tt.stderr || !strings.HasPrefix(r.stdout, tt.stdout) || (tt.stdout == "") != (r.stdout == "") {
			t.Errorf("%s: exit %d, stdout %.80q, stderr %q", tt.args, r.exit, r.stdout, r.stderr)
		}
	}
}

// Which of several faults is reported (spec/cli.md §2), and the rules of §4.1.
func TestChecks(t *testing.T) {
	w := baseWorld(t)
	for _, tt := range []struct{ args, err string }{
		// leftmost conversion first, and before everything else
		{"show -j x -b bogus", "Option -j, --threads should be a 32bit unsigned integer: 'x'"},
		{"show -b bogus -j x", `invalid backup-mode "bogus"`},
		{"init --ttl -1", "Option --ttl should be a 64bit unsigned integer: '-1'"},
		{"init --ttl=5x", "Option --ttl should be a 64bit signed integer: '5x'"},
		{"init --system-identifier=5", "Option system-identifier cannot be specified in command line"},
		{"init --stream --stream", "Option --stream should be specified only once"},
		{"init -C -C", "Option -C, --smooth-checkpoint should be specified only once"},
		{"init --time=2020-01-01 --recovery-target-time=x", "Option --recovery-target-time should be specified only once: 'x'"},
		{"init -B/x -B /y", "Option -B, --backup-path should be specified only once: '/y'"},
		{"init --enable-dss --enable-dss", "Option --enable-dss should be specified only once"},
		{"init -M tape", `invalid media_type "tape"`},
		{"init --batch-size=1.5", "Option --batch-size should be a 32bit signed integer: '1.5'"},
		{"init -b full -b ptrack --format json --format=p -M s3 -M d -I none -I lsn", "required parameter not specified: BACKUP_PATH (-B, --backup-path)"},
		// then the catalog
		{"merge", "required parameter not specified: BACKUP_PATH (-B, --backup-path)"},
		{"merge -B rel --instance=n1", "-B, --backup-path must be an absolute path"},
		{"merge -B /home/omm/b", "required parameter not specified: --instance"},
		{"show -B /home/omm/b --instance ../backups/n1", "Instance '../backups/n1' does not exist in this backup catalog"},
		{"del-instance -B /home/omm/b --instance ../..", "Instance '../..' does not exist in this backup catalog"},
		{"init -B /home/omm/b -i QMR0ZE", `Cannot use -i (--backup-id) option together with the "init" command`},
		{"backup -B /home/omm/b --instance n1 -D rel -i QMR0ZE", "-D, --pgdata must be an absolute path"},
		{"backup -B /home/omm/b --instance n1 -i QMR0ZE", `Cannot use -i (--backup-id) option together with the "backup" command`},
		{"merge -B /home/omm/b --instance n1 -i -", `Invalid backup-id "-"`},
		{"merge -B /home/omm/b --instance n1", "required parameter is not specified: --backup-id"},
		{"merge -B /home/omm/b --instance n1 -j 41", "Invalid value for '-j' option: 41, the number of cores available is 4, more than 10 times is not allowed."},
		{"merge -B /home/omm/b --instance n1 --compress-level=5", "Cannot specify compress-level option alone without compress-algorithm option"},
		{"merge -B /home/omm/b --instance n1 --compress-level=11", "Cannot specify compress-level option alone without compress-algorithm option"},
		{"merge -B /home/omm/b --instance n1 --compress-algorithm=n --compress-level=11", "--compress-level value must be in the range from 0 to 9"},
		{"merge -B /home/omm/b --instance n1 -M s3", "Required parameter not specified: S3(--endpoint, --access_bucket, --access_id or --access_key)"},
		{"merge -B /home/omm/b --instance n1 -M s3 --endpoint e --access-bucket b --access-id i --access-key k", "Not supported when specifying S3 options"},
		{"delete -B /home/omm/b --instance n1 --delete-wal -M s3 --endpoint e --access-bucket b --access-id i --access-key k", "Not supported when specifying S3 options"},
		{"delete -B /home/omm/b --instance n1 -i TOW9UX -M s3 --endpoint e --access-bucket b --access-id i --access-key k", "Object storage (--media-type=s3) is not built into this binary"},
		{"show -B /home/omm/b --instance n1 -M s3 --endpoint e --access-bucket b --access-id i --access-key k", "Object storage (--media-type=s3) is not built into this binary"},
		{"restore --help -T /a=/b", "If specify --tablespace-mapping option, you must specify --external-mapping option together"},
		{"restore -T /a=/b", "If specify --tablespace-mapping option, you must specify --external-mapping option together"},
		{"restore -B rel -T /a=/b", "If specify --tablespace-mapping option, you must specify --external-mapping option together"},
		{"restore -B /home/omm/b --instance zz -T /a=/b", "If specify --tablespace-mapping option, you must specify --external-mapping option together"},
		{"restore -B /home/omm/b --instance n1 -i - -T /a=/b", "If specify --tablespace-mapping option, you must specify --external-mapping option together"},
		{"restore -B /home/omm/b --instance n1 -D rel -T /a=/b", "If specify --tablespace-mapping option, you must specify --external-mapping option together"},
		{"show --help -W x -w", "You cannot specify --password and --no-password options together"},
		{"merge -B /home/omm/b --instance n1 --gen-key", "only backup can use --gen-key command."},
		{"merge -B /home/omm/b --instance n1 --with-encryption=AES256_CBC", "Encryption (--with-encryption) is not built into this binary"},
		// commands
		{"backup -B /home/omm/b --instance n1", "required parameter not specified: BACKUP_MODE (-b, --backup-mode)"},
		{"backup -B /home/omm/b --instance n1 -b f --enable-dss", "fail to init dss device: shared storage is not built into this binary"},
		{"backup -B /home/omm/b --instance n1 -b f --remote-host=h", "Failed to establish SSH connection: h"},
		{"backup -B /home/omm/b --instance n1 -b f --ttl=1000000000d", "Invalid value for '--ttl' option: more than 292 years"},
		{"backup -B /home/omm/b --instance n1 -b f --ttl=1 --expire-time=x", "You cannot specify '--expire-time' and '--ttl' options together"},
		{"set-backup -B /home/omm/b --instance n1 --note=x", "You must specify parameter (-i, --backup-id) for 'set-backup' command"},
		{"set-backup -B /home/omm/b --instance n1 -i ZZZZZZ", "Nothing to set by 'set-backup' command"},
		{"set-backup -B /home/omm/b --instance n1 -i TOW9UX --expire-time=1969-12-31", "Nothing to set by 'set-backup' command"},
		{"set-backup -B /home/omm/b --instance n1 -i TOW9UV --ttl=0", "Failed to set 'expire-time' for backup TOW9UV: invalid 'recovery-time'"},
		{"show -B /home/omm/b -i TOW9UX", "You must specify --instance to use (-i, --backup-id) option"},
		{"show -B /home/omm/b --instance n1 -i TOW9UX --archive", "You cannot specify --archive and (-i, --backup-id) options together"},
		{"validate -B /home/omm/b -i TOW9UX", "required parameter not specified: --instance"},
		{"validate -B /home/omm/b --lsn=0/1", "required parameter not specified: --instance"},
		{"validate -B /home/omm/b --force", `You cannot specify "--force" flag with the "validate" command`},
		{"validate -B /home/omm/b --no-validate", `You cannot specify "--no-validate" option with the "validate" command`},
		{"validate -B /home/omm/b --instance n1 --xid=1 --lsn=0/1", "At most one of '--recovery-target', '--recovery-target-name', '--recovery-target-time', '--recovery-target-xid' or '--recovery-target-lsn' options can be specified"},
		{"validate -B /home/omm/b --instance n1 --inclusive=maybe --lsn=x", `invalid LSN "x"`},
		{"validate -B /home/omm/b --instance n1 --inclusive=yes", "The '--recovery-target-inclusive' option can be applied only when either of '--recovery-target-time', '--recovery-target-xid' or '--recovery-target-lsn' options is specified"},
		{"restore -B /home/omm/b --instance n1 --inclusive=maybe", "Invalid value for '--recovery-target-inclusive' option 'maybe'"},
		{"restore -B /home/omm/b --instance n1 --time=garbage", "Invalid value for '--recovery-target-time' option 'garbage'"},
		{"restore -B /home/omm/b --instance n1 --xid=abc", "Invalid value for '--recovery-target-xid' option 'abc'"},
		{"restore -B /home/omm/b --instance n1 --lsn=zz", `invalid LSN "zz"`},
		{"restore -B /home/omm/b --instance n1 -I bogus", "Invalid value for '--incremental-mode' option: 'bogus'"},
		{"delete -B /home/omm/b --instance n1", "You must specify at least one of the delete options: --delete-expired |--delete-wal |--merge-expired |--status |(-i, --backup-id)"},
		{"delete -B /home/omm/b --instance n1 -i TOW9UX --expired", "You cannot specify --delete-expired and (-i, --backup-id) options together"},
		{"delete -B /home/omm/b --instance n1 -i TOW9UX --status=OK", "You cannot specify --status and (-i, --backup-id) options together"},
		{"delete -B /home/omm/b --instance n1 --status=UNKNOWN", "Unknown value for '--status' option: 'UNKNOWN'"},
		{"delete -B /home/omm/b --instance n1 -i TOW9UW", "Failed to find backup TOW9UW, cannot delete"},
		{"merge -B /home/omm/b --instance n1 -i TOW9V2 --dry-run", `You cannot specify "--dry-run" flag with the "merge" command`},
		{"set-backup -B /home/omm/b --instance n1 -i TOW9V2 --note=x --dry-run", `You cannot specify "--dry-run" flag with the "set-backup" command`},
	} {
		r := w.run(strings.Fields(tt.args), nil)
		lines := strings.Split(strings.TrimSuffix(r.stderr, "\n"), "\n")
		if r.exit != 1 || r.stdout != "" || lines[len(lines)-1] != "ERROR: "+tt.err {
			t.Errorf("%s:\n got %d %q\nwant %q", tt.args, r.exit, r.stderr, tt.err)
		}
	}
	// Nothing of this may have changed the catalog.
	if got := w.read(home + "/b/backups/n1/TOW9UX/backup.control"); !strings.Contains(got, "status = OK") {
		t.Errorf("control file:\n%s", got)
	}
}

func TestEnvironment(t *testing.T) {
	for _, tt := range []struct {
		name string
		env  map[string]string // "-" unsets
		args string
		want string // in stdout or stderr
	}{
		{"catalog", map[string]string{"BACKUP_PATH": home + "/b"}, "show", "BACKUP INSTANCE 'n1'"},
		{"option beats it", map[string]string{"BACKUP_PATH": "/nowhere"}, "show -B /home/omm/b", "BACKUP INSTANCE 'n1'"},
		{"empty is not unset", map[string]string{"BACKUP_PATH": ""}, "show", "-B, --backup-path must be an absolute path"},
		{"file beats environment", map[string]string{"PGDATABASE": "other"}, "show-config -B /home/omm/b --instance n1", "pgdatabase = testdb\n"},
		{"option beats file", nil, "show-config -B /home/omm/b --instance n1 -d other -D /other/", "pgdata = /other\nsystem-identifier = 215046882207064539\n# Connection parameters\npgdatabase = other\n"},
		{"log directory", nil, "show-config -B /home/omm/b --instance n2 --log-level-file=info", "log-filename = pg_probackup.log\nlog-directory = /home/omm/b/log\nlog-rotation-size"},
		{"no log directory", nil, "show-config -B /home/omm/b --instance n2", "log-filename = pg_probackup.log\nlog-rotation-size"},
		{"canonical log directory", nil, "show-config -B /home/omm/b --instance n2 --log-directory=/home/omm//l/.", "log-directory = /home/omm/l\n"},
		{"PGDATABASE", map[string]string{"PGDATABASE": "db", "PGUSER": "u"}, "show-config -B /home/omm/b --instance n2", "pgdatabase = db\n"},
		{"PGUSER", map[string]string{"PGUSER": "u"}, "show-config -B /home/omm/b --instance n2", "pgdatabase = u\n"},
		{"user", nil, "show-config -B /home/omm/b --instance n2", "pgdatabase = omm\n"},
		{"PGDATA empty", map[string]string{"PGDATA": ""}, "show -B /home/omm/b --instance n2", "ERROR: Option -D, --pgdata should be a valid string: ''\n"},
		{"PGDATA empty, not looked at", map[string]string{"PGDATA": ""}, "show -B /home/omm/b", "BACKUP INSTANCE 'n2'"},
		{"PGDATABASE empty", map[string]string{"PGDATABASE": ""}, "show -B /home/omm/b --instance n2", "ERROR: Option -d, --pgdatabase should be a valid string: ''\n"},
		{"posix", map[string]string{"POSIXLY_CORRECT": ""}, "show stray --bogus -B /home/omm/b", "BACKUP_PATH (-B, --backup-path)"},
		{"profile", map[string]string{"GS_PROBACKUP_COMPAT": "1.1"}, "version", "(openGauss 1.1.0 "},
		{"profile unknown", map[string]string{"GS_PROBACKUP_COMPAT": "9"}, "version", `ERROR: unknown compatibility profile "9", expected one of 1.1, 3.0, 5.0, 6.0`},
		{"profile of help", nil, "help --compat 1.1 merge", "gs_probackup merge -B backup-path"},
		{"profile of help, other way", nil, "help merge --compat=1.1", "gs_probackup merge -B backup-path"},
		{"profile option", map[string]string{"GS_PROBACKUP_COMPAT": "1.1"}, "show -B /home/omm/b --compat=5.0", "Stop LSN  Type  Status "},
		{"remote host", nil, "show-config -B /home/omm/b --instance n2 --remote-host=far", "pghost = far\n"},
		{"remote host, local", nil, "show-config -B /home/omm/b --instance n2 --remote-host=far --remote-proto=none", "pgdatabase = omm\n# Archive"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := baseWorld(t)
			w.stage("run", "add-instance", "-B", "/home/omm/b", "--instance=n2")
			r := w.run(strings.Fields(tt.args), tt.env)
			if !strings.Contains(r.stdout+r.stderr, tt.want) {
				t.Errorf("%q is not in:\n%s%s", tt.want, r.stdout, r.stderr)
			}
		})
	}
}

// Values the C tool stores and then cannot read (spec/cli.md §13 rows 1, 2,
// 12 and 13).
func TestUnstorableValues(t *testing.T) {
	set := []string{"set-backup", "-B", home + "/b", "--instance=n1", "-i", "TOW9UX"}
	config := []string{"set-config", "-B", home + "/b", "--instance=n1"}
	backup := []string{"backup", "-B", home + "/b", "--instance=n1", "-b", "full"} // no server is reached
	for _, tt := range []struct {
		name string
		args []string
		err  string // "" if it is stored
		show string // then found in show or show-config
	}{
		{"quote in note", append(set, "--note=it's"), "", `"note": "it's"`},
		{"hash and quotes", append(set, "--note='a' # b"), "", `"note": "'a' # b"`},
		{"longest note that fits", append(set, "--note="+strings.Repeat("n", 1013)), "", strings.Repeat("n", 1013)},
		{"note that no line holds", append(set, "--note="+strings.Repeat("n", 1024)), "Cannot store value of option --note: ", ""},
		{"note begins with a line feed", append(set, "--note=\nx"), "Option --note should be a valid string: ''", ""},
		{"carriage return", append(set, "--note=a\rb"), "Cannot store value of option --note: ", ""},
		{"only a line feed", append(backup, "--note=\nx"), "Option --note should be a valid string: ''", ""},
		{"carriage return in backup", append(backup, "--note=a\rb"), "Cannot store value of option --note: ", ""},
		{"too long for backup", append(backup, "--note="+strings.Repeat("n", 1024)), "Cannot store value of option --note: ", ""},
		{"external directory", append(backup, "-E", "/a\nb"), "Cannot store value of option --external-dirs: ", ""},
		{"pin beyond the years", append(set, "--ttl=1000000000d"), "Failed to set 'expire-time' for backup TOW9UX: the time is after the year 9999", ""},
		{"endless pin", append(set, "--ttl=INFINITE"), "Failed to set 'expire-time' for backup TOW9UX: the time is after the year 9999", ""},
		{"last pin", append(set, "--expire-time=9999-12-31 00:00:00"), "", `"expire-time": "9999-12-31 00:00:00+00"`},
		{"rolled over the years", append(set, "--expire-time=9999-99-31 00:00:00"), "Invalid value for '--expire-time' option: '9999-99-31 00:00:00'", ""},
		{"quote and blank", append(config, "--restore-command=cp '/x/%f' %p"), "", "restore-command = cp '/x/%f' %p\n"},
		{"hash", append(config, "-U", "a#b"), "", "pguser = a#b\n"},
		{"quoted", append(config, "-U", "'q'"), "", "pguser = 'q'\n"},
		{"line feed", append(config, "-U", "a\npgport = 1"), "Cannot store value of option --pguser: ", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := baseWorld(t)
			dir := filepath.Join(w.dir, "b/backups/n1")
			before := snapshot(t, dir)
			r := w.run(tt.args, nil)
			if tt.err != "" {
				if r.exit != 1 || !strings.HasPrefix(r.stderr, "ERROR: "+tt.err) {
					t.Errorf("exit %d, %s", r.exit, r.stderr)
				}
				if after := snapshot(t, dir); after != before {
					t.Errorf("a refused value changed the catalog:\n%s", after)
				}
				return
			}
			if r.exit != 0 {
				t.Fatalf("exit %d, %s", r.exit, r.stderr)
			}
			shown := w.run([]string{"show", "-B", home + "/b", "--instance=n1", "--format=json"}, nil)
			settings := w.run([]string{"show-config", "-B", home + "/b", "--instance=n1"}, nil)
			if shown.exit+settings.exit != 0 || !strings.Contains(shown.stdout+settings.stdout, tt.show) {
				t.Errorf("%q is not in:\n%s%s%s%s", tt.show, shown.stdout, shown.stderr, settings.stdout, settings.stderr)
			}
		})
	}
}

// What is stored of a note, and what removes it.
func TestNoteText(t *testing.T) {
	for note, want := range map[string]string{
		"a": "a", "a\nb": "a", "none\nb": "none", "None": "", "NONE": "", "none": "", "nonee": "nonee", " none": " none",
	} {
		if line, remove, err := noteText(note); err != nil || line != want || remove != (want == "") {
			t.Errorf("%q: %q, %v, %v", note, line, remove, err)
		}
	}
}

// Words of set-backup and of settings go in any case.
func TestWordsInAnyCase(t *testing.T) {
	w := baseWorld(t)
	set := "set-backup -B /home/omm/b --instance n1 -i TOW9V6 "
	for _, tt := range []struct{ args, stderr, show string }{
		{set + "--note=NONE", "INFO: Removing note from backup TOW9V6\n", "s3-status = UNKNOWN"},
		{set + "--s3-status=Local", "", "s3-status = LOCAL"},
		{set + "--s3-status=S3", "", "s3-status = S3"},
		{set + "--s3-status=tape", "", "s3-status = S3"},
		{"set-config -B /home/omm/b --instance n1 -E None", "", "s3-status = S3"},
	} {
		if r := w.run(strings.Fields(tt.args), nil); r.exit != 0 || r.stderr != tt.stderr {
			t.Errorf("%s: exit %d, %q", tt.args, r.exit, r.stderr)
		}
		shown := w.run(strings.Fields("show -B /home/omm/b --instance n1 -i TOW9V6"), nil).stdout
		if !strings.Contains(shown, tt.show+"\n") || strings.Contains(shown, "note = ") {
			t.Errorf("%s:\n%s", tt.args, shown)
		}
	}
}

// snapshot is all files below dir with their content.
func snapshot(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			data, rerr := os.ReadFile(path)
			b.WriteString(path + "\n" + string(data))
			err = rerr
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// Damaged backups are listed with defaults and a warning, stray directories
// count, files do not (spec/cli.md §8.1).
func TestShowDamagedBackups(t *testing.T) {
	w := baseWorld(t)
	dir := filepath.Join(w.dir, "b/backups/n1")
	for name, content := range map[string]string{"TOW9UX": "", "TOW9V2": "backup-mode = FULL\n", "TOW9V6": "status = NICE\nstart-lsn = zz\nstart-time = '2026-11-22 08:21:06+00'\n"} {
		if err := os.WriteFile(filepath.Join(dir, name, "backup.control"), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Remove(filepath.Join(dir, "TOW9VA/backup.control")); err != nil {
		t.Fatal(err)
	}
	w.stage("mkdir", "/home/omm/b/backups/n1/stray")
	r := w.run([]string{"show", "-B", home + "/b", "--instance=n1"}, nil)
	path := home + "/b/backups/n1/"
	want := `WARNING: Control file "` + path + `TOW9UX/backup.control" is empty
WARNING: Invalid ID/start-time, control file "` + path + `TOW9V2/backup.control" is corrupted
WARNING: Invalid STATUS "NICE"
WARNING: Invalid START_LSN "zz"
WARNING: Control file "` + path + `TOW9VA/backup.control" doesn't exist
WARNING: Control file "` + path + `stray/backup.control" doesn't exist
`
	if r.exit != 0 || r.stderr != want {
		t.Errorf("exit %d, stderr:\n%s", r.exit, r.stderr)
	}
	for _, row := range []string{
		" n1        ----     TOW9VA  ----                            ARCHIVE   0/0  ----      0     0    1.00  0/0        0/0        FILE  UNKNOWN    UNKNOWN ",
		" n1        ----     STRAY   ----                            ARCHIVE   0/0  ----      0     0    1.00  0/0        0/0        FILE  UNKNOWN    UNKNOWN ",
	} {
		if !strings.Contains(r.stdout, row+"\n") {
			t.Errorf("%q is not in:\n%s", row, r.stdout)
		}
	}
	one := w.run([]string{"show", "-B", home + "/b", "--instance=n1", "-i", "stray"}, nil)
	if !strings.HasPrefix(one.stdout, "#Configuration\nbackup-mode = \nstream = false\n") || !strings.Contains(one.stdout, "uncompressed-bytes = 0\npgdata-bytes = 0\nstatus = UNKNOWN\n") {
		t.Errorf("show -i stray:\n%s%s", one.stdout, one.stderr)
	}
}

func TestShowDoesNotWrite(t *testing.T) {
	w := baseWorld(t)
	w.stage("replace", "/home/omm/b/backups/n1/TOW9VJ/backup.control", "status = OK", "status = RUNNING")
	before := snapshot(t, w.dir)
	r := w.run([]string{"show", "-B", home + "/b"}, nil)
	if !strings.Contains(r.stdout, "1h:8m") || !strings.Contains(r.stdout, "RUNNING") {
		t.Errorf("running since 08:21:19, now 09:30:\n%s", r.stdout)
	}
	if snapshot(t, w.dir) != before {
		t.Error("show changed a file")
	}
}

func TestShowOfOlderReleases(t *testing.T) {
	w := baseWorld(t)
	show := func(profile string, args ...string) string {
		args = append([]string{"show", "-B", home + "/b", "--compat=" + profile}, args...)
		r := w.run(args, nil)
		if r.exit != 0 {
			t.Fatal(r.stderr)
		}
		return r.stdout
	}
	for _, tt := range []struct {
		profile, columns string
		framed, dss, s3  bool
	}{
		{"1.1", "Stop LSN   Status ", false, false, false},
		{"3.0", "Stop LSN   Status ", false, false, false},
		{"5.0", "Stop LSN   Type  Status ", false, true, false},
		{"6.0", "Stop LSN   Type  S3 Status  Status ", true, true, true},
	} {
		if out := show(tt.profile); !strings.Contains(out, tt.columns+"\n") {
			t.Errorf("%s: table\n%s", tt.profile, out)
		}
		out := show(tt.profile, "--format=json")
		if strings.HasPrefix(out, "[\n    {\n        \"instance\"") == tt.framed || strings.Contains(out, "dssdata-bytes") != tt.framed {
			t.Errorf("%s: JSON begins with %.60s", tt.profile, out)
		}
		out = show(tt.profile, "--instance=n1", "-i", "TOW9UX")
		if strings.Contains(out, "#Database Storage type") != tt.dss || strings.Contains(out, "#S3") != tt.s3 {
			t.Errorf("%s: details\n%s", tt.profile, out)
		}
	}
}

func TestLogFileOfACommand(t *testing.T) {
	w := baseWorld(t)
	w.run([]string{"set-backup", "-B", home + "/b", "--instance=n1", "-i", "tow9ux", "--note=a b", "--log-level-file=log", "--log-filename=x.log"}, nil)
	want := "2026-11-22 09:30:00 UTC [4711]: INFO: command: /opt/ogfull/bin/gs_probackup set-backup -B " + home + "/b --instance=n1 -i tow9ux --note=a b --log-level-file=log --log-filename=x.log \n" +
		"2026-11-22 09:30:00 UTC [4711]: INFO: Adding note to backup TOW9UX: 'a b'\n"
	if got := w.recorded(w.read(home + "/b/log/x.log")); got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	// show is not recorded, but its messages are.
	w.run([]string{"show", "-B", home + "/b", "--instance=n1", "-i", "zz", "--log-level-file=log", "--log-filename=y.log"}, nil)
	if got := w.read(home + "/b/log/y.log"); got != "2026-11-22 09:30:00 UTC [4711]: INFO: Requested backup \"ZZ\" is not found.\n" {
		t.Errorf("got %s", got)
	}
	r := w.run([]string{"show", "-B", home + "/b", "--instance=n1", "-i", "zz", "--log-level-file=log", "--log-directory=" + home + "/no/dir"}, nil)
	if r.exit != 1 || !strings.HasSuffix(r.stderr, "ERROR: could not open log file \""+home+"/no/dir/pg_probackup.log\": No such file or directory\n") {
		t.Errorf("exit %d, %s", r.exit, r.stderr)
	}
}

// Two commands that set different things of a backup at the same time both
// succeed.
func TestSetBackupAtTheSameTime(t *testing.T) {
	w := baseWorld(t)
	w.stage("mkdir", home+"/b/backups/n1/TOW9UX/database")
	set := func(arg string) result {
		return w.run([]string{"set-backup", "-B", home + "/b", "--instance=n1", "-i", "TOW9UX", arg}, nil)
	}
	for i := range 50 {
		ttl := fmt.Sprintf("--ttl=%dd", 10+i)
		note := fmt.Sprintf("--note=number %d", i)
		done := make(chan result)
		go func() { done <- set(ttl) }()
		a, b := set(note), <-done
		control := w.read(home + "/b/backups/n1/TOW9UX/backup.control")
		if a.exit+b.exit != 0 || !strings.Contains(control, note[len("--note="):]) {
			t.Fatalf("round %d: %s%s%s", i, a.stderr, b.stderr, control)
		}
		_, pinned, _ := strings.Cut(b.stderr, "is pinned until '")
		pinned, _, _ = strings.Cut(pinned, "'")
		if !strings.Contains(control, "expire-time = '"+pinned+"'") {
			t.Fatalf("round %d: the pin until %s is lost:\n%s", i, pinned, control)
		}
	}
}
