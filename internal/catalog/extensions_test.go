package catalog

import (
	"bytes"
	"strings"
	"testing"

	"gsprobackup/internal/catalog/keyfile"
	"gsprobackup/internal/fsx"
)

// Options of ours stand in comments: the C tool, which ends with an error at a
// key it does not know, passes them over.
func TestExtensionOptions(t *testing.T) {
	c := NewConfig()
	set(t, c, FromCommandLine, "pgdata", "/data", "limit-rate", "10MB")
	var b bytes.Buffer
	if err := WriteConfig(&b, c); err != nil {
		t.Fatal(err)
	}
	const want = "# Backup instance information\npgdata = /data\n# Extension parameters\n#+ limit-rate = 10MB\n"
	if b.String() != want {
		t.Errorf("written:\n%s\nwant:\n%s", b.String(), want)
	}
	pairs, err := keyfile.Parse(b.Bytes(), keyfile.Options{})
	if err != nil || len(pairs) != 1 {
		t.Errorf("C sees %v, %v", pairs, err)
	}
	again := NewConfig()
	if _, err := ReadConfig(fsx.OS(), writeTemp(t, want+"#+ of-a-newer-release = x\n"), again, nil); err != nil || again.LimitRate != 10<<20 {
		t.Errorf("read back: %d, %v", again.LimitRate, err)
	}
	set(t, again, FromCommandLine, "limit-rate", "0")
	b.Reset()
	if err := WriteConfig(&b, again); err != nil || strings.Contains(b.String(), "limit") {
		t.Errorf("without a limit: %s, %v", b.String(), err)
	}
	for text, want := range map[string]uint64{"1": 1, "7kB": 7 << 10, "2GB": 2 << 30, "1TB": 1 << 40, "5B": 5} {
		set(t, c, FromCommandLine, "limit-rate", text)
		if c.LimitRate != want {
			t.Errorf("%s: %d", text, c.LimitRate)
		}
	}
	for _, bad := range []string{"-1", "fast", "10 parsecs", "99999999999TB"} {
		if err := c.Set(FindConfigOption("limit-rate"), bad, FromCommandLine); err == nil {
			t.Errorf("%s: %d", bad, c.LimitRate)
		}
	}
	if _, err := ReadConfig(fsx.OS(), writeTemp(t, "#+ limit-rate = fast\n"), NewConfig(), nil); err == nil {
		t.Error("a bad value in the file")
	}
}
