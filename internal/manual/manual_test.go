package manual

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gsprobackup/internal/cli"
)

func generate(t *testing.T) (cli.Reference, map[string]string) {
	t.Helper()
	ref, err := cli.ReadReference()
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, f := range Files(ref, "2026-11-28") {
		files[f.Name] = f.Text
	}
	return ref, files
}

// Every option that a command line accepts is in the man pages, every option
// of a help page in the completion of its command.
func TestEveryOption(t *testing.T) {
	ref, files := generate(t)
	inPages := map[string]bool{}
	option := regexp.MustCompile(`(?m)^\.B (?:\\-.\\fR, \\fB)?\\-\\-([a-z0-9\\-]+?)(?:\\fR=.*)?$`)
	for name, text := range files {
		if strings.HasSuffix(name, ".1") {
			for _, m := range option.FindAllStringSubmatch(text, -1) {
				inPages[strings.ReplaceAll(m[1], `\`, "")] = true
			}
		}
	}
	names := cli.OptionNames()
	if len(names) < 100 {
		t.Fatalf("only %d options", len(names))
	}
	for _, o := range names {
		if !inPages[o] {
			t.Errorf("--%s is in no man page", o)
		}
	}
	for _, c := range ref.Commands {
		if c.Summary == "" || len(c.Synopsis) == 0 {
			t.Errorf("%s has no summary or no synopsis", c.Name)
		}
		for _, o := range options(ref, c) {
			for file, want := range map[string]string{
				"share/bash-completion/completions/gs_probackup":    `(?m)^\t` + c.Name + `\) words=".*--` + o.Long + `[ ="]`,
				"share/zsh/site-functions/_gs_probackup":            `--` + o.Long + `[=\[) ]`,
				"share/fish/vendor_completions.d/gs_probackup.fish": `(?m)from ` + c.Name + `' -l ` + o.Long + `( |$)`,
			} {
				if !regexp.MustCompile(want).MatchString(files[file]) {
					t.Errorf("--%s of %s is not in %s", o.Long, c.Name, file)
				}
			}
		}
	}
}

// bash completes with the generated script.
func TestBashCompletion(t *testing.T) {
	_, files := generate(t)
	dir := t.TempDir()
	script := filepath.Join(dir, "script")
	if err := os.WriteFile(script, []byte(files["share/bash-completion/completions/gs_probackup"]), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{"backups/main/QMR0ZE", "backups/main/QMR0ZF", "backups/other", "wal"} {
		if err := os.MkdirAll(filepath.Join(dir, "catalog", d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		words []string // the last one is to be completed
		want  string
	}{
		{[]string{"se"}, "set-backup set-config"},
		{[]string{"help", "val"}, "validate"},
		{[]string{"merge", "--thr"}, "--threads="},
		{[]string{"merge", "--no-sync"}, ""},
		{[]string{"backup", "-b", ""}, "DELTA FULL PTRACK"},
		{[]string{"backup", "--compress-algorithm", "=", "z"}, "zlib zstd"},
		{[]string{"backup", "--log-level-file", "="}, "error info log off verbose warning"},
		{[]string{"backup", "--log-f"}, "--log-filename= --log-format="},
		{[]string{"show", "-B", dir + "/cat"}, dir + "/catalog"},
		{[]string{"show", "-B", dir + "/catalog", "--instance", "=", "m"}, "main"},
		{[]string{"merge", "-B", dir + "/catalog", "--instance", "main", "-i", "Q"}, "QMR0ZE QMR0ZF"},
		{[]string{"backup", "--note", "=", "x"}, ""},
	} {
		args := append([]string{"-c", `. "$0"; COMP_WORDS=(gs_probackup "$@"); COMP_CWORD=$#; _gs_probackup; echo "${COMPREPLY[@]}"`, script}, tt.words...)
		out, err := exec.Command("bash", args...).CombinedOutput()
		got := strings.Fields(string(out))
		slices.Sort(got)
		if err != nil || strings.Join(got, " ") != tt.want {
			t.Errorf("%q: got %q, want %q; %v", tt.words, got, tt.want, err)
		}
	}
}

// The other shells and roff have no interpreter here; what would break them is
// looked for.
func TestQuoting(t *testing.T) {
	_, files := generate(t)
	for name, text := range files {
		if strings.Count(strings.ReplaceAll(text, `\'`, ""), "'")%2 != 0 && !strings.HasSuffix(name, ".1") && !strings.Contains(name, "bash") {
			t.Errorf("%s: an odd number of quotes", name)
		}
		if !strings.HasSuffix(text, "\n") {
			t.Errorf("%s: no line feed at the end", name)
		}
		if strings.HasSuffix(name, ".1") {
			for line := range strings.Lines(text) {
				if strings.HasPrefix(line, "'") || strings.HasPrefix(line, ".") && !regexp.MustCompile(`^\.(TH|SH|TP|BR|B|I|RI|br)\b`).MatchString(line) {
					t.Errorf("%s: %q is taken for a request", name, line)
				}
			}
		}
	}
}
