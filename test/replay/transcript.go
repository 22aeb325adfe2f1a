package replay

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
)

// Step is a recorded command and what came of it.
type Step struct {
	Number  int // of the recording
	Command string
	Result
}

// Result is what a command leaves behind.
type Result struct {
	Exit           int
	Stdout, Stderr string
}

var (
	toolCommand = regexp.MustCompile(`(^|[ (/])gs_probackup(505)?( |$)`)
	textCommand = regexp.MustCompile(`^(cat|grep|for i in)\b`)
)

// Around tells whether a command is neither the tool's nor prints a file of
// the tool's: listings, servers, other clients. Those are not played.
func (s Step) Around() bool {
	return !toolCommand.MatchString(s.Command) && (!textCommand.MatchString(s.Command) || strings.Contains(s.Command, "gs_ctl"))
}

// Format writes steps as a transcript:
//
//	@ 12                  number in the recording
//	$ gs_probackup show   the command, maybe of several lines
//	= 0                   exit status
//	1|INFO: …             lines of stdout and
//	2|WARNING: …          stderr; without line feed at the end: 1\ and 2\
func Format(steps []Step) string {
	var b strings.Builder
	for _, s := range steps {
		fmt.Fprintf(&b, "@ %d\n$ %s\n= %d\n", s.Number, s.Command, s.Exit)
		writeStream(&b, '1', s.Stdout)
		writeStream(&b, '2', s.Stderr)
	}
	return b.String()
}

func writeStream(b *strings.Builder, stream byte, text string) {
	for _, line := range strings.SplitAfter(text, "\n") {
		if line == "" {
			continue
		}
		b.WriteByte(stream)
		if rest, whole := strings.CutSuffix(line, "\n"); whole {
			b.WriteString("|" + rest + "\n")
		} else {
			b.WriteString("\\" + line + "\n")
		}
	}
}

// Read reads a transcript.
func Read(name string) ([]Step, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	var steps []Step
	var s *Step
	inCommand := false
	for i, line := range strings.Split(string(data), "\n") {
		var err error
		switch {
		case strings.HasPrefix(line, "@ ") && !inCommand:
			steps = append(steps, Step{})
			s = &steps[len(steps)-1]
			s.Number, err = strconv.Atoi(line[2:])
		case strings.HasPrefix(line, "$ ") && !inCommand:
			s.Command, inCommand = line[2:], true
		case inCommand && strings.HasPrefix(line, "= "):
			inCommand = false
			s.Exit, err = strconv.Atoi(line[2:])
		case inCommand:
			s.Command += "\n" + line
		case line == "":
		default:
			err = s.addLine(line)
		}
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", name, i+1, err)
		}
	}
	return steps, nil
}

func (s *Step) addLine(line string) error {
	if len(line) < 2 || (line[1] != '|' && line[1] != '\\') {
		return fmt.Errorf("unknown line %q", line)
	}
	text := line[2:]
	if line[1] == '|' {
		text += "\n"
	}
	switch line[0] {
	case '1':
		s.Stdout += text
	case '2':
		s.Stderr += text
	default:
		return fmt.Errorf("unknown line %q", line)
	}
	return nil
}
