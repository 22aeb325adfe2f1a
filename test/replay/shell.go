package replay

import (
	"bytes"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
)

// shellWords splits a line as a shell would: blanks, both kinds of quotes, no
// expansions. Operators outside quotes are words of their own, marked by a
// leading zero byte.
func shellWords(line string) ([]string, error) {
	var words []string
	var word strings.Builder
	inWord, quote := false, byte(0)
	end := func() {
		if inWord {
			words = append(words, word.String())
		}
		word.Reset()
		inWord = false
	}
	for i := 0; i < len(line); i++ {
		c := line[i]
		switch {
		case quote != 0 && c == quote:
			quote = 0
		case quote != 0:
			word.WriteByte(c)
		case c == '\'' || c == '"':
			quote, inWord = c, true
		case c == ' ':
			end()
		case strings.IndexByte("|>;&", c) >= 0:
			end()
			op := string(c)
			if i+1 < len(line) && line[i+1] == c && c == '&' {
				op = "&&"
				i++
			}
			words = append(words, "\x00"+op)
		default:
			word.WriteByte(c)
			inWord = true
		}
	}
	if quote != 0 {
		return nil, errors.New("unclosed quote")
	}
	end()
	return words, nil
}

var (
	toolWord   = regexp.MustCompile(`^(/\S+/)?gs_probackup(505)?$`)
	assignment = regexp.MustCompile(`^[A-Z_]+=`)
	wrapper    = regexp.MustCompile(`^(time )?(timeout -s INT \d+ )?`)
)

// play runs a recorded command: a list of pipelines.
func (w *world) play(command string) (Result, error) {
	interrupted := w.interrupt != nil
	if m := inBackground.FindStringSubmatch(command); m != nil {
		r, err := w.play(m[1])
		return Result{Stdout: r.Stdout + fmt.Sprintf("rc=%d\n", r.Exit), Stderr: r.Stderr}, err
	}
	if timeout := wrapper.FindString(command); timeout != "" {
		r, err := w.play(command[len(timeout):])
		if interrupted && strings.Contains(timeout, "timeout") {
			r.Exit = 124
		}
		return r, err
	}
	if !strings.Contains(command, "gs_probackup") {
		return w.bash(command)
	}
	var total Result
	for _, part := range splitList(command) {
		r, err := w.part(part, total.Exit)
		if err != nil {
			return Result{}, err
		}
		total.Stdout, total.Stderr, total.Exit = total.Stdout+r.Stdout, total.Stderr+r.Stderr, r.Exit
		if part.and && r.Exit != 0 {
			break
		}
	}
	return total, nil
}

// listPart is a pipeline and whether the next one depends on it.
type listPart struct {
	text string
	and  bool
}

// splitList cuts at "&&" and ";" outside quotes.
func splitList(command string) []listPart {
	var parts []listPart
	quote, start := byte(0), 0
	for i := 0; i < len(command); i++ {
		c := command[i]
		switch {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '\'' || c == '"':
			quote = c
		case c == ';':
			parts = append(parts, listPart{command[start:i], false})
			start = i + 1
		case c == '&' && strings.HasPrefix(command[i:], "&&"):
			parts = append(parts, listPart{command[start:i], true})
			start = i + 2
			i++
		}
	}
	return append(parts, listPart{command[start:], false})
}

func (w *world) part(p listPart, status int) (Result, error) {
	if strings.TrimSpace(p.text) == "echo rc=$?" {
		return Result{Stdout: fmt.Sprintf("rc=%d\n", status)}, nil
	}
	if !strings.Contains(p.text, "gs_probackup") || strings.Contains(p.text, "$(") {
		return w.bash(p.text)
	}
	words, err := shellWords(p.text)
	if err != nil {
		return Result{}, err
	}
	stages := [][]string{nil}
	for _, word := range words {
		if word == "\x00|" {
			stages = append(stages, nil)
			continue
		}
		last := len(stages) - 1
		stages[last] = append(stages[last], word)
	}
	r, err := w.tool(stages[0])
	if err != nil {
		return Result{}, err
	}
	for _, filter := range stages[1:] {
		if r.Stdout, err = w.filter(filter, r.Stdout); err != nil {
			return Result{}, err
		}
		r.Exit = 0
	}
	return r, nil
}

// tool runs words as the tool with assignments before it and a redirection
// behind it.
func (w *world) tool(words []string) (Result, error) {
	env := map[string]*string{}
	for len(words) > 0 && !toolWord.MatchString(words[0]) {
		switch {
		case words[0] == "env":
		case words[0] == "-u" && len(words) > 1:
			words = words[1:]
			env[words[0]] = nil
		case assignment.MatchString(words[0]):
			k, v, _ := strings.Cut(words[0], "=")
			env[k] = &v
		default:
			return Result{}, fmt.Errorf("no such command: %q", words)
		}
		words = words[1:]
	}
	if len(words) == 0 {
		return Result{}, errors.New("no command")
	}
	full := false
	for i, word := range words {
		if !strings.HasPrefix(word, "\x00") {
			continue
		}
		if rest := strings.Join(words[i:], " "); rest != "\x00> /dev/full" {
			return Result{}, fmt.Errorf("cannot play %q", rest)
		}
		words, full = words[:i], true
		break
	}
	return w.run(words, env, full), nil
}

func (w *world) filter(words []string, text string) (string, error) {
	lines := strings.SplitAfter(text, "\n")
	if len(words) == 3 && words[0] == "head" && words[1] == "-c" {
		n, err := strconv.Atoi(words[2])
		return text[:min(max(n, 0), len(text))], err
	}
	if len(words) == 2 && (words[0] == "head" || words[0] == "tail") {
		n, err := strconv.Atoi(strings.TrimPrefix(words[1], "-"))
		if err != nil {
			return "", err
		}
		if lines[len(lines)-1] == "" {
			lines = lines[:len(lines)-1]
		}
		n = min(n, len(lines))
		if words[0] == "head" {
			return strings.Join(lines[:n], ""), nil
		}
		return strings.Join(lines[len(lines)-n:], ""), nil
	}
	return "", fmt.Errorf("cannot play %q", words)
}

// bash runs what is no command of ours with the machine's directory for /home.
func (w *world) bash(command string) (Result, error) {
	cmd := exec.Command("bash", "-c", strings.ReplaceAll(command, "/home/omm", w.m.Path("/home/omm")))
	cmd.Env = []string{"PATH=/usr/bin:/bin", "LC_ALL=C", "TZ=UTC"}
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return Result{}, err
	}
	recorded := func(b *bytes.Buffer) string { return strings.ReplaceAll(b.String(), w.m.Dir, "") }
	return Result{cmd.ProcessState.ExitCode(), recorded(&out), recorded(&errOut)}, nil
}
