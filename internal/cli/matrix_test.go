package cli

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"gsprobackup/internal/catalog"
	"gsprobackup/internal/compat"
	"gsprobackup/internal/usererr"
)

// spec is an option as spec/cli.md §3 describes it, not as the table of this
// package does: the tests below hold one against the other.
type spec struct {
	long  string
	short byte
	kind  string // F S u i U I E
	// repeat is "" for once, "last" or "list" (§5.6 row 9).
	repeat string
	since  string // profile
	// good and bad are values of E options; bad has the text of its error.
	good, bad, badText string
	// as is the long name in messages where it is another one (§5.6 row 10).
	as string
	// unit options accept a unit.
	unit bool
}

func specOptions() []spec {
	text := func(names ...string) (list []spec) {
		for _, n := range names {
			list = append(list, spec{long: n, kind: "S"})
		}
		return list
	}
	flags := func(names ...string) (list []spec) {
		for _, n := range names {
			list = append(list, spec{long: n, kind: "F"})
		}
		return list
	}
	since := func(profile string, list ...spec) []spec {
		for i := range list {
			list[i].since = profile
		}
		return list
	}
	return slices.Concat(
		// §3.1
		flags("help", "progress", "no-sync", "temp-slot", "stream", "backup-pg-log", "no-validate", "skip-block-validation",
			"delete-wal", "delete-expired", "merge-expired", "wal", "expired", "dry-run", "force", "skip-external-dirs",
			"immediate", "compress", "archive", "overwrite", "no-ready-rename", "no-validate-wal"),
		since("5.0", flags("backup-pg-replslot")...),
		since("6.0", flags("gen-key")...),
		text("instance", "note", "expire-time", "status", "recovery-target-time", "recovery-target-xid", "recovery-target-lsn",
			"recovery-target-inclusive", "recovery-target-name", "wal-file-path", "wal-file-name", "prefetch-dir"),
		since("6.0", text("s3-status", "with-encryption", "with-key", "with-salt", "with-device-params")...),
		[]spec{
			{long: "backup-path", short: 'B', kind: "S"},
			{long: "backup-id", short: 'i', kind: "S"},
			{long: "slot", short: 'S', kind: "S"},
			{long: "password", short: 'W', kind: "S"},
			{long: "time", kind: "S", as: "recovery-target-time"},
			{long: "xid", kind: "S", as: "recovery-target-xid"},
			{long: "lsn", kind: "S", as: "recovery-target-lsn"},
			{long: "inclusive", kind: "S", as: "recovery-target-inclusive"},
			{long: "smooth-checkpoint", short: 'C', kind: "F"},
			{long: "no-password", short: 'w', kind: "F"},
			{long: "threads", short: 'j', kind: "u"},
			{long: "timeline", kind: "u"},
			{long: "rw-timeout", short: 't', kind: "u", since: "3.0"},
			{long: "batch-size", kind: "i"},
			{long: "ttl", kind: "I", unit: true},
			{long: "backup-mode", short: 'b', kind: "E", repeat: "last", good: "P", bad: "page", badText: `invalid backup-mode "page"`},
			{long: "format", kind: "E", repeat: "last", good: "j", bad: "xml", badText: `Invalid show format "xml"`},
			{long: "incremental-mode", short: 'I', kind: "E", repeat: "last", good: "LSN", bad: "ls", badText: "Invalid value for '--incremental-mode' option: 'ls'"},
			{long: "media-type", short: 'M', kind: "E", repeat: "last", since: "6.0", good: "disk", bad: "tape", badText: `invalid media_type "tape"`},
			{long: "tablespace-mapping", short: 'T', kind: "E", repeat: "list", good: "/a=/b", bad: "/a", badText: `invalid tablespace mapping format "/a", must be "OLDDIR=NEWDIR"`},
			{long: "external-mapping", kind: "E", repeat: "list", good: "/a=/b", bad: "/a=b", badText: "new directory is not an absolute path in external directory mapping: b\n"},
		},
		// §3.2
		[]spec{
			{long: "pgdata", short: 'D', kind: "S"},
			{long: "external-dirs", short: 'E', kind: "S"},
			{long: "pgdatabase", short: 'd', kind: "S"},
			{long: "pghost", short: 'h', kind: "S"},
			{long: "pgport", short: 'p', kind: "S"},
			{long: "pguser", short: 'U', kind: "S"},
			{long: "archive-timeout", kind: "u", unit: true},
			{long: "log-level-console", kind: "E", repeat: "last", good: "w", bad: "loud", badText: `invalid log-level "loud"`},
			{long: "log-level-file", kind: "E", repeat: "last", good: "OFF", bad: "of f", badText: `invalid log-level "of f"`},
			{long: "log-rotation-size", kind: "U", unit: true},
			{long: "log-rotation-age", kind: "U", unit: true},
			{long: "retention-redundancy", kind: "u"},
			{long: "retention-window", kind: "u"},
			{long: "wal-depth", kind: "u"},
			{long: "compress-algorithm", kind: "E", repeat: "last", good: "z", bad: "gzip", badText: `invalid compress algorithm value "gzip"`},
			{long: "compress-level", kind: "u"},
		},
		text("archive-host", "archive-port", "archive-user", "restore-command", "log-filename", "error-log-filename", "log-directory",
			"remote-proto", "remote-host", "remote-port", "remote-path", "remote-user", "ssh-options", "ssh-config"),
		since("3.0", text("remote-libpath")...),
		since("5.0", text("vgname", "socketpath")...),
		since("5.0", flags("enable-dss")...),
		since("5.0", spec{long: "instance-id", kind: "i"}),
		since("6.0", text("access-id", "access-key", "endpoint", "region", "access-bucket")...),
		[]spec{{long: "system-identifier", kind: "file"}},
	)
}

// value is a good value of the option.
func (s spec) value() string {
	switch {
	case s.good != "":
		return s.good
	case s.kind == "S":
		return "x"
	}
	return "7"
}

// named is the option in messages (§5.1).
func (s spec) named() string {
	long := s.long
	if s.as != "" {
		long = s.as
	}
	if s.short != 0 {
		return fmt.Sprintf("Option -%c, --%s", s.short, long)
	}
	return "Option --" + long
}

func (s spec) want() string {
	return map[string]string{
		"S": "a valid string", "u": "a 32bit unsigned integer", "i": "a 32bit signed integer",
		"U": "a 64bit unsigned integer", "I": "a 64bit signed integer",
	}[s.kind]
}

// try parses words and returns the text of the error, "" for none. getopt's own
// diagnostics come without the program's name.
func try(t *testing.T, p compat.Profile, words ...string) string {
	t.Helper()
	var o options
	_, err := parseOptions("P", words, false, p, &o, catalog.NewConfig())
	var bad *getoptError
	var user *usererr.Error
	switch {
	case err == nil:
		return ""
	case errors.As(err, &bad):
		return strings.TrimPrefix(bad.Line, "P: ")
	case errors.As(err, &user):
		return user.Text
	}
	t.Fatalf("%q: an error without words: %v", words, err)
	return ""
}

// TestOptionMatrix: every option in every spelling (§5.1, §5.6).
func TestOptionMatrix(t *testing.T) {
	p := newest(t)
	n := 0
	check := func(want string, words ...string) {
		t.Helper()
		n++
		if got := try(t, p, words...); got != want {
			t.Errorf("%q:\n got %q\nwant %q", words, got, want)
		}
	}
	all := specOptions()
	if len(all) != 103 {
		t.Errorf("%d options, the C tool has 103", len(all))
	}
	for _, s := range all {
		long, v := "--"+s.long, s.value()
		if s.kind == "file" {
			check("Option system-identifier cannot be specified in command line", long, "1")
			continue
		}
		if s.kind == "F" {
			flagCases(s, check)
			continue
		}
		check("", long+"="+v)
		check("", long, v)
		check("", v, long, v, "stray", "--", long)
		check("option '"+long+"' requires an argument", long)
		if s.short != 0 {
			short := "-" + string(s.short)
			check("", short, v)
			check("", short+v)
			check("option requires an argument -- '"+string(s.short)+"'", short)
		}
		twice := ""
		if s.repeat == "" {
			twice = s.named() + " should be specified only once: '" + v + "'"
		}
		check(twice, long, v, long+"="+v)
		valueCases(s, check)
	}
	abbreviationCases(all, check)
	t.Logf("%d cases", n)
}

func flagCases(s spec, check func(want string, words ...string)) {
	long := "--" + s.long
	check("", long)
	check("", "stray", long, "stray")
	check("option '"+long+"' doesn't allow an argument", long+"=true")
	check("option '"+long+"' doesn't allow an argument", long+"=")
	check(s.named()+" should be specified only once", long, long)
	if s.short != 0 {
		check("", "-"+string(s.short))
		check(s.named()+" should be specified only once", "-"+string(s.short)+string(s.short))
	}
}

// valueCases are empty and bad values.
func valueCases(s spec, check func(want string, words ...string)) {
	long := "--" + s.long
	bad := func(v string) string { return s.named() + " should be " + s.want() + ": '" + v + "'" }
	switch s.kind {
	case "S":
		check(bad(""), long+"=")
		check(bad(""), long, "")
		check("", long, "-B") // the word behind is the value, whatever it is
	case "E":
		check(s.badText, long+"="+s.bad)
		check(s.badText, long, s.bad)
	default:
		for _, v := range []string{"", " ", "x", "7x", "0x", "7_000", "0b1", "0o7", "1e3", "7.5", "infinite", "99999999999999999999"} {
			check(bad(v), long, v)
		}
		for _, v := range []string{"0", "010", "0x1F", "0X1f", " 7", "\t7", "+7", "INFINITE"} {
			check("", long, v)
		}
		trailing := bad("7 ")
		if s.unit {
			trailing = ""
		}
		check(trailing, long, "7 ")
	}
	signCases(s, check, bad)
}

// signCases: only 64-bit unsigned options take a negative number, and wrap it.
func signCases(s spec, check func(want string, words ...string), bad func(string) string) {
	long := "--" + s.long
	switch s.kind {
	case "u":
		check(bad("-1"), long, "-1")
		check(bad("4294967296"), long, "4294967296")
		check("", long, "4294967295")
	case "i":
		check("", long, "-1")
		check(bad("2147483648"), long, "2147483648")
	case "U":
		check("", long, "-1")
	case "I": // ttl (§5.1)
		check(s.named()+" should be a 64bit unsigned integer: '-1'", long, "-1")
	}
}

// abbreviationCases: every beginning of every name (§5.6 rows 1 and 2).
func abbreviationCases(all []spec, check func(want string, words ...string)) {
	for _, s := range all {
		if s.kind == "file" {
			continue
		}
		for n := 1; n < len(s.long); n++ {
			short := s.long[:n]
			var others []string
			exact := false
			for _, o := range all {
				exact = exact || o.long == short
				if o.long != s.long && strings.HasPrefix(o.long, short) && name(o) != name(s) {
					others = append(others, o.long)
				}
			}
			if exact || len(others) > 0 {
				continue // see TestAmbiguousBeginnings
			}
			if s.kind == "F" {
				check("", "--"+short)
			} else {
				check("", "--"+short+"="+s.value())
			}
		}
	}
}

// name is what counts as one option.
func name(s spec) string {
	if s.as != "" {
		return s.as
	}
	return s.long
}

// TestAmbiguousBeginnings: a beginning of several names that is none itself is
// refused with all of them, in every profile those it had.
func TestAmbiguousBeginnings(t *testing.T) {
	for _, profile := range compat.Names() {
		p, err := compat.Lookup(profile)
		if err != nil {
			t.Fatal(err)
		}
		beginnings := map[string][]string{}
		known := map[string]bool{}
		for _, s := range specOptions() {
			if !p.Since(s.since) {
				continue
			}
			known[s.long] = true
			for n := 1; n < len(s.long); n++ {
				beginnings[s.long[:n]] = append(beginnings[s.long[:n]], s.long)
			}
		}
		if n := len(known); profile == "1.1" && n != 84 {
			t.Errorf("1.1 has %d options, not 84", n)
		}
		ambiguous := 0
		for short, names := range beginnings {
			if known[short] || len(names) < 2 {
				continue
			}
			ambiguous++
			line := try(t, p, "--"+short+"=v")
			head := "option '--" + short + "=v' is ambiguous; possibilities: "
			list, ok := strings.CutPrefix(line, head)
			got := strings.Fields(strings.NewReplacer("'--", "", "'", "").Replace(list))
			slices.Sort(got)
			slices.Sort(names)
			if !ok || !slices.Equal(got, names) {
				t.Errorf("%s: --%s: %q, want %q", profile, short, line, names)
			}
		}
		if ambiguous < 50 {
			t.Errorf("%s: only %d ambiguous beginnings", profile, ambiguous)
		}
	}
}

// TestAbbreviationsOfOldReleases: what a release did not have does not get in
// the way of its abbreviations, and works by its full name.
func TestAbbreviationsOfOldReleases(t *testing.T) {
	for _, tt := range []struct{ profile, word, want string }{
		{"1.1", "--inst=x", ""},
		{"3.0", "--inst=x", ""},
		{"5.0", "--inst=x", "option '--inst=x' is ambiguous; possibilities: '--instance' '--instance-id'"},
		{"1.1", "--backup-pg", ""},
		{"6.0", "--backup-pg", "option '--backup-pg' is ambiguous; possibilities: '--backup-pg-log' '--backup-pg-replslot'"},
		{"1.1", "--media-type=disk", ""},
		{"1.1", "--media=disk", "unrecognized option '--media=disk'"},
		{"1.1", "-t5", "invalid option -- 't'"},
		{"3.0", "-t5", ""},
		{"5.0", "-Mdisk", "invalid option -- 'M'"},
	} {
		p, err := compat.Lookup(tt.profile)
		if err != nil {
			t.Fatal(err)
		}
		if got := try(t, p, tt.word); got != tt.want {
			t.Errorf("%s: %s: %q, want %q", tt.profile, tt.word, got, tt.want)
		}
	}
}
