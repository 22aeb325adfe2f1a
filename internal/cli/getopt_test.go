package cli

import (
	"bufio"
	"encoding/json"
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"

	"gsprobackup/internal/catalog"
	"gsprobackup/internal/compat"
)

// tableGrammar is the grammar of the whole option table, with names of
// options by id.
func tableGrammar(posix bool) (*grammar, func(id int) string) {
	p := &parser{rows: optionTable(catalog.NewConfig())}
	g := &grammar{prog: "P", posix: posix}
	for i, row := range p.rows {
		g.names = append(g.names, optionName{long: row.name, short: row.short, arg: row.arg, id: p.idOf(i)})
	}
	return g, func(id int) string { return p.rows[id].name }
}

// The cases were run through glibc's getopt_long (glibc 2.36, LC_ALL=C) with
// the same 103 options: random words, prefixes, bundles, stray words.
func TestGetoptAgreesWithGlibc(t *testing.T) {
	f, err := os.Open("testdata/getopt.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	n := 0
	for lines.Scan() {
		n++
		var c struct {
			Args  []string
			Posix bool
			Found [][2]string
			Err   string
		}
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		g, nameOf := tableGrammar(c.Posix)
		var found [][2]string
		err := g.scan(c.Args, func(w word) error {
			found = append(found, [2]string{nameOf(w.id), w.value})
			return nil
		})
		got := ""
		if err != nil {
			got = err.Error()
		}
		if got != c.Err || !reflect.DeepEqual(found, c.Found) {
			t.Errorf("%q (posix %v):\n got %q %q\nwant %q %q", c.Args, c.Posix, found, got, c.Found, c.Err)
		}
	}
	if n < 600 {
		t.Errorf("only %d cases", n)
	}
}

// Possibilities recorded from the real tool, in its source order; that of "ba"
// is read off the source.
func TestAmbiguityListsOfTheRealTool(t *testing.T) {
	for typed, want := range map[string]string{
		"inst=x":                    "instance instance-id",
		"log":                       "log-level-console log-level-file log-filename log-directory log-rotation-size log-rotation-age",
		"backup":                    "backup-path backup-id backup-pg-log backup-mode backup-pg-replslot",
		"ba":                        "backup-path backup-id backup-pg-log backup-mode backup-pg-replslot batch-size",
		"no":                        "no-sync note no-validate no-password no-ready-rename no-validate-wal",
		"t":                         "threads temp-slot tablespace-mapping ttl time timeline",
		"w":                         "with-encryption with-key with-salt with-device-params wal wal-file-path wal-file-name wal-depth",
		"recovery-target=immediate": "recovery-target-time recovery-target-xid recovery-target-lsn recovery-target-inclusive recovery-target-name",
	} {
		g, _ := tableGrammar(false)
		err := g.scan([]string{"--" + typed}, func(word) error { return nil })
		line := "P: option '--" + typed + "' is ambiguous; possibilities: '--" + strings.ReplaceAll(want, " ", "' '--") + "'"
		if err == nil || err.Error() != line {
			t.Errorf("--%s:\n got %v\nwant %s", typed, err, line)
		}
	}
}

func TestOptionLetters(t *testing.T) {
	letters := ""
	for _, row := range optionTable(catalog.NewConfig()) {
		if row.short != 0 {
			letters += string(row.short)
			if row.arg {
				letters += ":"
			}
		}
	}
	if want := "B:j:i:b:CS:T:I:wW:t:M:D:E:d:h:p:U:"; letters != want {
		t.Errorf("option string %s, want %s", letters, want)
	}
}

func TestExtensionsDoNotDisturb(t *testing.T) {
	for _, tt := range []struct{ arg, want string }{
		{"--compat=5.0", ""},
		{"--compa=5.0", "P: unrecognized option '--compa=5.0'"},
		{"--comp", "P: option '--comp' is ambiguous; possibilities: '--compress' '--compress-algorithm' '--compress-level'"},
	} {
		var o options
		_, err := parseOptions("P", []string{tt.arg}, false, newest(t), &o, catalog.NewConfig())
		var bad *getoptError
		got := ""
		if errors.As(err, &bad) {
			got = bad.Line
		}
		if got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.arg, got, tt.want)
		}
	}
}

func FuzzGetopt(f *testing.F) {
	f.Add("--log-level-console=x\x00-B\x00/x\x00stray\x00-Cw", false)
	f.Add("--\x00--foo", true)
	f.Add("-W\x00--password=\x00-CWx", false)
	f.Fuzz(func(t *testing.T, joined string, posix bool) {
		args := strings.Split(joined, "\x00")
		g, nameOf := tableGrammar(posix)
		g.scan(args, func(w word) error {
			if nameOf(w.id) == "" {
				t.Fatal("option without name")
			}
			if w.value != "" && args[w.arg][w.off:] != w.value {
				t.Fatalf("value %q is not at %d of %q", w.value, w.off, args[w.arg])
			}
			return nil
		})
	})
}

func FuzzParseOptions(f *testing.F) {
	f.Add("-B\x00/x\x00--instance=n1\x00-j\x000x10\x00--ttl=5d")
	f.Add("-T\x00/a=/b\x00--external-mapping=/c\\==/d\x00--log-rotation-size=-1")
	f.Fuzz(func(t *testing.T, joined string) {
		var o options
		_, err := parseOptions("P", strings.Split(joined, "\x00"), false, newest(t), &o, catalog.NewConfig())
		if err != nil && err.Error() == "" {
			t.Fatal("error without words")
		}
		for _, m := range append(o.TablespaceMap, o.ExternalMap...) {
			if m.Old[0] != '/' || m.New[0] != '/' {
				t.Fatalf("mapping %q", m)
			}
		}
	})
}

// newest is the profile that is used without --compat.
func newest(t testing.TB) compat.Profile {
	t.Helper()
	p, err := compat.Lookup("")
	if err != nil {
		t.Fatal(err)
	}
	return p
}
