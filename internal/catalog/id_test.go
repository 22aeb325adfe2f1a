package catalog

import (
	"testing"

	"pgregory.net/rapid"
)

func TestParseID(t *testing.T) {
	for in, want := range map[string]string{
		"QMR0ZE": "QMR0ZE", "qmr0ze": "QMR0ZE", " \tQMR0ZE": "QMR0ZE", "+QMR0ZE": "QMR0ZE",
		"QMR0ZE.x": "QMR0ZE", "QMR0ZE x": "QMR0ZE", "QMR0ZEx": "QMR0ZEX", "abc!": "ABC",
		"-5": "3W5E11264SGSB", "ZZZZZZZZZZZZZZZZ": "3W5E11264SGSF",
		"0": "", "": "", "!": "", "-": "", "- 5": "",
	} {
		id, err := ParseID(in)
		if want == "" {
			wantText(t, err, `Invalid backup-id "`+in+`"`)
		} else if err != nil || id.String() != want {
			t.Errorf("%q: got %s, %v; want %s", in, id, err, want)
		}
	}
	if ID(0).String() != "0" {
		t.Error(ID(0))
	}
	rapid.Check(t, func(t *rapid.T) {
		id := ID(rapid.Int64().Draw(t, "id"))
		if id == 0 {
			return
		}
		if back, err := ParseID(id.String()); err != nil || back != id {
			t.Fatalf("%d printed as %s, read as %d, %v", id, id, back, err)
		}
	})
}

func TestStates(t *testing.T) {
	for i, name := range statusNames {
		if s, ok := ParseStatus(name); !ok || int(s) != i || s.String() != name {
			t.Errorf("%s: %v %v", name, s, ok)
		}
	}
	if _, ok := ParseStatus("ok"); ok {
		t.Error("status words in a control file are upper case")
	}
	if s, ok := MatchStatus("corrupt"); !ok || s != StatusCorrupt {
		t.Error(s, ok)
	}
	if _, ok := MatchStatus("unknown"); ok {
		t.Error("--status=unknown is an error")
	}
}
