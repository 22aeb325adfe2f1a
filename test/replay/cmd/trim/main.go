// Command trim cuts the transcripts in test/replay/testdata out of the
// recordings of the real C tool:
//
//	go run ./test/replay/cmd/trim -golden ../shared/golden
//
// What it leaves out: times, the output of commands around the tool other than
// cat and grep, servers started behind a cat, VERBOSE lines, superseded states of progress bars, and the
// prose of help pages.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"gsprobackup/test/replay"
)

func main() {
	src := flag.String("golden", "../shared/golden", "directory with the recordings")
	dst := flag.String("out", "test/replay/testdata", "directory for the transcripts")
	flag.Parse()
	if err := run(*src, *dst); err != nil {
		fmt.Fprintln(os.Stderr, "trim:", err)
		os.Exit(1)
	}
}

// noCommands are recordings without any command of the tool.
var noCommands = map[string]bool{"12_server_sql": true}

func run(src, dst string) error {
	names, err := filepath.Glob(filepath.Join(src, "*", "cmds.txt"))
	if err != nil {
		return err
	}
	for _, name := range names {
		title := filepath.Base(filepath.Dir(name))
		if noCommands[title] {
			continue
		}
		data, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		parse := parseSession
		if title == "11_wire" {
			parse = parseWire
		}
		steps, err := parse(string(data))
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		for i := range steps {
			trim(&steps[i])
		}
		if err := os.WriteFile(filepath.Join(dst, title+".txt"), []byte(replay.Format(steps)), 0o644); err != nil {
			return err
		}
	}
	return nil
}

var entryRE = regexp.MustCompile(`(?s)\A\[(\d+)\]\n\$ (.*?)\nexit: (\d+)\n(?:elapsed: [^\n]*\n)?---- stdout[^\n]*\n(.*?)---- stderr[^\n]*\n(.*)\z`)

// parseSession reads the usual form; SQL has a form of its own and is left out.
func parseSession(text string) ([]replay.Step, error) {
	var steps []replay.Step
	for _, entry := range strings.Split(text, "\n==== [")[1:] {
		body, _, ok := strings.Cut("["+entry, "==== end\n")
		if !ok {
			return nil, fmt.Errorf("entry %.40q has no end", entry)
		}
		m := entryRE.FindStringSubmatch(body)
		if m == nil {
			if strings.Contains(body, "]\n$ ") {
				return nil, fmt.Errorf("entry %.60q is odd", body)
			}
			continue
		}
		n, _ := strconv.Atoi(m[1])
		exit, _ := strconv.Atoi(m[3])
		steps = append(steps, replay.Step{Number: n, Command: m[2], Result: replay.Result{Exit: exit, Stdout: m[4], Stderr: m[5]}})
	}
	return steps, nil
}

// parseWire reads 11_wire: no numbers, both streams in one.
func parseWire(text string) ([]replay.Step, error) {
	re := regexp.MustCompile(`(?sm)^\$ ([^\n]*)\n(.*?)^exit: (\d+)$`)
	var steps []replay.Step
	for i, m := range re.FindAllStringSubmatch(text, -1) {
		exit, _ := strconv.Atoi(m[3])
		steps = append(steps, replay.Step{Number: i + 1, Command: m[1], Result: replay.Result{Exit: exit, Stderr: m[2]}})
	}
	return steps, nil
}

var (
	verbose = regexp.MustCompile(`(?m)^(VERBOSE: .*|\t\(param:.*)\n`)
	oldBars = regexp.MustCompile(`(?m)^(Progress: \[[^\r\n]*\r)+`)
	times   = regexp.MustCompile(`\n?(real|user|sys)\t\d+m[\d.]+s\n`)
)

var (
	// settings are commands that print what restore wrote for the server, and
	// then start it.
	settings = regexp.MustCompile(`^(cat \S+/recovery\.conf); gs_ctl (?s:.*)`)
	catError = regexp.MustCompile(`^cat: .*\n`)
)

func trim(s *replay.Step) {
	if m := settings.FindStringSubmatch(s.Command); m != nil {
		s.Command = m[1]
		s.Stdout, _, _ = strings.Cut(s.Stdout, "started=")
		if s.Stderr = catError.FindString(s.Stderr); s.Stderr != "" {
			s.Exit = 1
		}
	}
	if s.Around() {
		s.Stdout, s.Stderr = "", ""
	}
	s.Stdout = oldBars.ReplaceAllString(s.Stdout, "")
	s.Stderr = oldBars.ReplaceAllString(s.Stderr, "")
	s.Stderr = verbose.ReplaceAllString(s.Stderr, "")
	if strings.HasPrefix(s.Command, "time ") {
		s.Stderr = times.ReplaceAllString(s.Stderr, "")
	}
	s.Stderr = replay.Fold(s.Stderr)
	if replay.IsHelp(s.Stdout) {
		s.Stdout = replay.Skeleton(s.Stdout)
	}
}
