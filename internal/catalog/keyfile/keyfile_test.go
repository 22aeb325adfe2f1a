package keyfile

import (
	"errors"
	"strings"
	"testing"

	"gsprobackup/internal/usererr"

	"pgregory.net/rapid"
)

func TestParse(t *testing.T) {
	for in, want := range map[string]string{ // "key|value", or "!" for a syntax error
		"a=b":                              "a|b",
		"  a  =  b  \r":                    "a|b",
		"\ta\t=\tb":                        "a|b",
		"a = b c":                          "a|b c",
		"pgdata = /x # c":                  "pgdata|/x ",
		"a = b\t# c":                       "a|b",
		"a = b\tc":                         "!",
		"a = 'b # c'":                      "a|b # c",
		"a = 'b'  # c":                     "a|b",
		"a = 'it''s'":                      "a|it's",
		"a = ''''":                         "a|'",
		"a = ''":                           "a|",
		"a =":                              "a|",
		"a = 'open":                        "a|open",
		"a = 'b' c":                        "!",
		"a = 'it's'":                       "!",
		"a b = c":                          "!",
		"garbage line":                     "!",
		"= b":                              "!",
		"a#b = c":                          "!",
		"a = \\n \"q\"":                    "a|\\n \"q\"",
		"# comment":                        "",
		"   ":                              "",
		"a = x\x00y":                       "!",
		strings.Repeat("k", 2000) + " = v": strings.Repeat("k", 2000) + "|v",
	} {
		pairs, err := Parse([]byte("\n"+in+"\n"), Options{})
		got := ""
		if err != nil {
			got = "!"
		} else if len(pairs) == 1 {
			got = pairs[0].Key + "|" + pairs[0].Value
		}
		if got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func TestSyntaxErrorText(t *testing.T) {
	_, err := Parse([]byte("a = b\n garbage line  \n"), Options{Repair: true})
	var ue *usererr.Error
	var se *SyntaxError
	if !errors.As(err, &ue) || !errors.As(err, &se) || ue.Text != `Syntax error in " garbage line"` {
		t.Errorf("got %v", err)
	}
}

func TestRepair(t *testing.T) {
	for in, want := range map[string]string{
		"note = 'it's'":     "it's",
		"note = ''x''":      "'x'",
		"note = 'a' b 'c'":  "a' b 'c",
		"note = 'it''s ok'": "it's ok", // valid syntax is never repaired
		"note = 'a' # b'":   "a",
	} {
		pairs, err := Parse([]byte(in), Options{Repair: true})
		if err != nil || len(pairs) != 1 || pairs[0].Value != want {
			t.Errorf("%q: got %v, %v; want %q", in, pairs, err, want)
		}
	}
}

func TestFormat(t *testing.T) {
	for _, c := range []struct{ value, want string }{
		{"o'm", "k = o'm\n"}, // the C tool writes and reads this one without quotes
		{"we ird", "k = 'we ird'\n"},
		{"cp '/x/%f' %p", "k = 'cp ''/x/%f'' %p'\n"},
		{"a#b", "k = 'a#b'\n"},
		{"'q'", "k = '''q'''\n"},
		{"a\nb", ""}, {"", ""}, {"a\rb", ""}, {"\x00", ""},
		{strings.Repeat("x", MaxLine-len("k = \n")), "k = " + strings.Repeat("x", MaxLine-len("k = \n")) + "\n"},
		{strings.Repeat("x", MaxLine), ""},
		{strings.Repeat("'", 600), ""},
	} {
		got, err := Auto("k", c.value)
		var ve *ValueError
		if got != c.want || (err != nil) != (c.want == "") || (err != nil && !errors.As(err, &ve)) {
			t.Errorf("%q: got %q, %v; want %q", c.value, got, err, c.want)
		}
	}
}

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.StringOfN(rapid.RuneFrom([]rune("ab '\"#\t=\\é")), 0, 40, -1).Draw(t, "value")
		for _, format := range []func(string, string) (string, error){Quoted, Auto} {
			line, err := format("note", value)
			if err != nil {
				if value != "" {
					t.Fatalf("%q refused: %v", value, err)
				}
				continue
			}
			pairs, err := Parse([]byte(line), Options{})
			if err != nil || len(pairs) != 1 || pairs[0].Value != value || pairs[0].Key != "note" {
				t.Fatalf("%q written as %q, read as %v, %v", value, line, pairs, err)
			}
		}
	})
}

func TestSameKey(t *testing.T) {
	if !SameKey("External_Dirs", "external-dirs") || SameKey("pgdata", "pgdata1") || SameKey("a.b", "a-b") {
		t.Error("keys compare wrongly")
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("a = 'it''s' # x\nb=c\n"))
	f.Add([]byte("note = 'it's'\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		strict, errStrict := Parse(data, Options{})
		loose, err := Parse(data, Options{Repair: true})
		if errStrict == nil && (err != nil || len(loose) != len(strict)) {
			t.Fatal("repair changed a valid file")
		}
		for _, p := range loose {
			line, err := Auto("k", p.Value)
			if err != nil {
				continue
			}
			back, err := Parse([]byte(line), Options{})
			if err != nil || len(back) != 1 || back[0].Value != p.Value {
				t.Fatalf("%q written as %q, read as %v, %v", p.Value, line, back, err)
			}
		}
	})
}
