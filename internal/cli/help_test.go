package cli

import (
	"bytes"
	"strings"
	"testing"

	"gsprobackup/internal/compat"
)

// diffLines reports the first line in which got and want differ.
func diffLines(t *testing.T, what, got, want string) {
	t.Helper()
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := 0; i < len(g) || i < len(w); i++ {
		line := func(l []string) string {
			if i < len(l) {
				return l[i]
			}
			return "<end>"
		}
		if line(g) != line(w) {
			t.Errorf("%s, line %d:\n got %q\nwant %q", what, i+1, line(g), line(w))
			return
		}
	}
}

// Groups appeared over time; a page of an old release must not promise them.
func TestHelpOfOlderReleases(t *testing.T) {
	for _, tt := range []struct {
		profile     string
		has, hasNot []string
	}{
		{"1.1", nil, []string{"media-type", "enable-dss", "rw-timeout", "remote-libpath", "zstd", "replslot"}},
		{"3.0", []string{"rw-timeout", "remote-libpath"}, []string{"media-type", "enable-dss", "zstd"}},
		{"5.0", []string{"rw-timeout", "enable-dss", "--instance-id=instance_id", "zstd", "replslot"}, []string{"media-type", "S3"}},
		{"6.0", []string{"media-type", "enable-dss"}, []string{"instance-id"}},
	} {
		p, err := compat.Lookup(tt.profile)
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if err := printGeneralHelp(&out, "gs_probackup", p); err != nil {
			t.Fatal(err)
		}
		if _, err := printHelp(&out, "gs_probackup", "backup", p); err != nil {
			t.Fatal(err)
		}
		for _, word := range tt.has {
			if !strings.Contains(out.String(), word) {
				t.Errorf("%s: %q is missing", tt.profile, word)
			}
		}
		for _, word := range tt.hasNot {
			if strings.Contains(out.String(), word) {
				t.Errorf("%s: %q should not be there", tt.profile, word)
			}
		}
	}
}
