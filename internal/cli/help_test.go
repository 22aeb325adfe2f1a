package cli

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"gsprobackup/internal/compat"
)

var updateHelp = flag.String("update-help", "", "directory with help pages of the C tool to take the skeletons from")

var (
	optionLine = regexp.MustCompile(`^(  -\w, --\S+|      --\S+)(\s+|$)(.*)$`)
	facts      = regexp.MustCompile(`\((default|example)[^)]*\)|available (options|units): ('\w+',? ?)*`)
)

// skeleton reduces a help page to what scripts read: synopses, option names
// with their columns, headings, defaults and lists of values. The
// descriptions are ours.
func skeleton(page string) string {
	var b strings.Builder
	for _, line := range strings.Split(page, "\n") {
		m := optionLine.FindStringSubmatch(line)
		switch {
		case m != nil:
			b.WriteString(m[1] + strings.Repeat(".", len(m[2])) + strings.Join(facts.FindAllString(m[3], -1), " "))
		case strings.HasPrefix(line, strings.Repeat(" ", helpColumn)):
			found := facts.FindAllString(line, -1)
			if len(found) == 0 {
				continue // running text
			}
			b.WriteString(strings.Repeat(" ", helpColumn) + strings.Join(found, " "))
		default:
			b.WriteString(line)
		}
		b.WriteString("\n")
	}
	return b.String()
}

func TestHelpPagesKeepTheToolsLayout(t *testing.T) {
	p, err := compat.Lookup("6.0")
	if err != nil {
		t.Fatal(err)
	}
	pages := []string{""}
	for _, page := range helpPages(p) {
		pages = append(pages, page.command)
	}
	for _, command := range pages {
		var out bytes.Buffer
		name := "help"
		if command == "" {
			err = printGeneralHelp(&out, "gs_probackup", p)
		} else {
			name += "_" + command
			_, err = printHelp(&out, "gs_probackup", command, p)
		}
		if err != nil {
			t.Fatal(err)
		}
		golden := filepath.Join("testdata", "help", name+".txt")
		if *updateHelp != "" {
			page, err := os.ReadFile(filepath.Join(*updateHelp, name+".stdout.txt"))
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(golden, []byte(skeleton(string(page))), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		diffLines(t, name, skeleton(out.String()), string(want))
	}
}

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
