// Package metrics keeps a file of Prometheus metrics about the last runs of
// the tool, in the text format that node_exporter's textfile collector reads.
//
// It owns names, help texts and the file: several commands and instances share
// one, each run replaces its own series and leaves the others. It leaves what
// a run has done to internal/cli.
//
//	gs_probackup_last_run_timestamp_seconds{command="backup",instance="n1"} 1795337569
//
// A run that fails keeps the time of the last success.
package metrics

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"time"

	"gsprobackup/internal/fsx"
)

// Run is what a command reports at its end.
type Run struct {
	Command  string
	Instance string // "" when it was for all instances
	Finished time.Time
	Duration time.Duration
	Success  bool
	// Files and Bytes are what the command worked on; negative if that is
	// not counted.
	Files, Bytes int64
}

// ErrForeign says that a file is not one of ours and was left alone.
var ErrForeign = errors.New("not a metrics file of gs_probackup")

// maxFile bounds the file; a few hundred series are usual.
const maxFile = 1 << 20

const prefix = "gs_probackup_"

// lastSuccess is the family that survives a failed run.
const lastSuccess = prefix + "last_success_timestamp_seconds"

// families are in the order of the file.
var families = []struct {
	name, help string
	value      func(Run) (value float64, ok bool)
}{
	{prefix + "last_run_timestamp_seconds", "When the last run ended, in seconds since 1970.",
		func(r Run) (float64, bool) { return seconds(r.Finished), true }},
	{prefix + "last_run_duration_seconds", "How long the last run took.",
		func(r Run) (float64, bool) { return r.Duration.Seconds(), true }},
	{prefix + "last_run_success", "1 if the last run ended with exit status 0, else 0.",
		func(r Run) (float64, bool) {
			if r.Success {
				return 1, true
			}
			return 0, true
		}},
	{prefix + "last_run_files", "Files that the last run copied, checked, restored or merged.",
		func(r Run) (float64, bool) { return float64(r.Files), r.Files >= 0 }},
	{prefix + "last_run_bytes", "Bytes that the last run stored (backup), checked (validate) or wrote (restore).",
		func(r Run) (float64, bool) { return float64(r.Bytes), r.Bytes >= 0 }},
	{lastSuccess, "When the last successful run ended, in seconds since 1970.",
		func(r Run) (float64, bool) { return seconds(r.Finished), r.Success }},
}

func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

// series are values by family and label set, as in the file.
type series map[string]map[string]string

var sampleLine = regexp.MustCompile(`^(gs_probackup_[a-z_]+)\{([^}]*)\} (\S+)$`)

// parse reads what Update wrote. Anything else is ErrForeign.
func parse(data []byte) (series, error) {
	all := series{}
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSuffix(line, "\n")
		if line == "" || strings.HasPrefix(line, "# HELP "+prefix) || strings.HasPrefix(line, "# TYPE "+prefix) {
			continue
		}
		m := sampleLine.FindStringSubmatch(line)
		if m == nil {
			return nil, ErrForeign
		}
		if _, err := strconv.ParseFloat(m[3], 64); err != nil {
			return nil, ErrForeign
		}
		all.set(m[1], m[2], m[3])
	}
	return all, nil
}

func (s series) set(family, labels, value string) {
	if s[family] == nil {
		s[family] = map[string]string{}
	}
	s[family][labels] = value
}

// labels is a label set. Braces would end it for our parser, and names of
// instances have none.
func labels(r Run) string {
	escape := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "}", "_")
	text := `command="` + escape.Replace(r.Command) + `"`
	if r.Instance != "" {
		text += `,instance="` + escape.Replace(strings.ToValidUTF8(r.Instance, "\ufffd")) + `"`
	}
	return text
}

// update replaces the series of r.
func (s series) update(r Run) {
	set := labels(r)
	for _, f := range families {
		value, ok := f.value(r)
		switch {
		case ok:
			s.set(f.name, set, strconv.FormatFloat(value, 'f', -1, 64))
		case f.name != lastSuccess:
			delete(s[f.name], set)
		}
	}
}

func (s series) write(w io.Writer) error {
	var b bytes.Buffer
	for _, f := range families {
		values := s[f.name]
		if len(values) == 0 {
			continue
		}
		fmt.Fprintf(&b, "# HELP %s %s\n# TYPE %s gauge\n", f.name, f.help, f.name)
		sets := make([]string, 0, len(values))
		for set := range values {
			sets = append(sets, set)
		}
		sort.Strings(sets)
		for _, set := range sets {
			fmt.Fprintf(&b, "%s{%s} %s\n", f.name, set, values[set])
		}
	}
	_, err := w.Write(b.Bytes())
	return err
}

// Check tells whether Update will be able to write name, so that a wrong path
// is found before hours of work.
func Check(fsys fsx.FS, name string) error {
	return exclusively(fsys, name, func() error {
		if _, err := read(fsys, name); err != nil {
			return err
		}
		probe := name + ".tmp"
		f, err := fsys.OpenFile(probe, os.O_WRONLY|os.O_CREATE, 0o600)
		if err != nil {
			return err
		}
		return errors.Join(f.Close(), fsys.Remove(probe))
	})
}

// Update replaces the series of a run in the file, which others see whole, old
// or new.
func Update(fsys fsx.FS, name string, r Run) error {
	return exclusively(fsys, name, func() error {
		all, err := read(fsys, name)
		if err != nil {
			return err
		}
		all.update(r)
		// Readable for the collector, which is another user.
		return fsx.WriteFileDurable(fsys, name, 0o644, all.write)
	})
}

// exclusively keeps two runs from losing each other's series. The lock is on
// the directory: the file itself is replaced.
func exclusively(fsys fsx.FS, name string, do func() error) (err error) {
	dir, err := fsys.Open(filepath.Dir(name))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	return fsx.WithFlock(dir, do)
}

func read(fsys fsx.FS, name string) (series, error) {
	// Reading a pipe would wait for its writer.
	if fi, err := fsys.Stat(name); err == nil && !fi.Mode().IsRegular() {
		return nil, ErrForeign
	}
	data, err := fsx.ReadFile(fsys, name, maxFile)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return series{}, nil
	case err != nil:
		return nil, err
	}
	return parse(data)
}
