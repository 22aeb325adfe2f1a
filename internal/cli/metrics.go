package cli

import (
	"sync"
	"time"

	"gsprobackup/internal/backup"
	"gsprobackup/internal/event"
	"gsprobackup/internal/merge"
	"gsprobackup/internal/metrics"
	"gsprobackup/internal/restore"
	"gsprobackup/internal/usererr"
	"gsprobackup/internal/validate"
)

// runMetrics is what --metrics-file asks for; file is "" without it.
type runMetrics struct {
	file, command, instance string
	began                   time.Time
}

// startMetrics notes the wish, and finds out at once whether it can be
// fulfilled.
func (s *session) startMetrics(rules commandRules, r *request) error {
	if r.MetricsFile == "" {
		return nil
	}
	if err := metrics.Check(s.env.FS, r.MetricsFile); err != nil {
		return cannotWriteMetrics(r.MetricsFile, err)
	}
	s.metrics = runMetrics{file: r.MetricsFile, command: rules.name, instance: r.Instance, began: s.env.Now()}
	s.console.tally.command = rules.name
	return nil
}

func cannotWriteMetrics(file string, err error) error {
	return usererr.Wrap(err, "cannot write metrics file \"%s\": %s", file, usererr.SystemText(err)).
		WithHint("--metrics-file names a file in a directory that exists, best a *.prom in that of node_exporter's textfile collector")
}

// writeMetrics reports a run that has ended, in whatever way. A backup that is
// good stays good if this fails.
func (s *session) writeMetrics(status int) {
	if s.metrics.file == "" {
		return
	}
	now := s.env.Now()
	files, bytes := s.console.tally.sums()
	err := metrics.Update(s.env.FS, s.metrics.file, metrics.Run{
		Command: s.metrics.command, Instance: s.metrics.instance,
		Finished: now, Duration: now.Sub(s.metrics.began), Success: status == 0,
		Files: files, Bytes: bytes,
	})
	if err != nil {
		s.console.warn("%s", errorText(cannotWriteMetrics(s.metrics.file, err)))
	}
}

// tally sums up what a command works on. Events come from many goroutines.
type tally struct {
	command string // "" counts nothing

	mu    sync.Mutex
	files int64
	bytes int64
	known bool // bytes is a result
}

// count takes the events of the command's own work; a backup is validated too.
func (t *tally) count(e event.Event) {
	switch t.command {
	case "backup":
		switch e := e.(type) {
		case backup.FileCopied:
			t.add(1, 0, false)
		case backup.Completed:
			t.add(0, e.Resident, true)
		}
	case "validate":
		if e, ok := e.(validate.FileChecked); ok {
			t.add(1, e.Size, true)
		}
	case "restore":
		switch e := e.(type) {
		case restore.FileRestored:
			t.add(1, 0, false)
		case restore.FilesFinished:
			t.add(0, e.Written, true)
		}
	case "merge":
		if _, ok := e.(merge.FileMerged); ok {
			t.add(1, 0, false)
		}
	}
}

func (t *tally) add(files, bytes int64, known bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.files += files
	t.bytes += bytes
	t.known = t.known || known
}

// sums are negative where nothing is counted.
func (t *tally) sums() (files, bytes int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	files, bytes = -1, -1
	switch t.command {
	case "backup", "validate", "restore", "merge":
		files = t.files
	}
	if t.known {
		bytes = t.bytes
	}
	return files, bytes
}
