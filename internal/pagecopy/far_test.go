package pagecopy

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"gsprobackup/internal/blockfile"
	"gsprobackup/internal/compress"
	"gsprobackup/internal/crc32c"
	"gsprobackup/internal/fsx"
	"gsprobackup/internal/pgdata"
	"gsprobackup/internal/ptrack"
	"gsprobackup/internal/remote"
	"gsprobackup/internal/remote/agent"
	"gsprobackup/test/agenttest"
)

// farTree is a data directory on disk with files of all kinds.
func farTree(t *testing.T) (dir string, tasks []Task) {
	dir = t.TempDir()
	add := func(name string, kind Kind, content []byte) *Task {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
		tasks = append(tasks, Task{Dirs: &Dirs{Source: dir}, Path: name, Size: int64(len(content)), Mode: 0o100600, Kind: kind})
		return &tasks[len(tasks)-1]
	}
	for i, pages := range []int{1, 700, 129, 0, 33, 2, 300} {
		add(fmt.Sprint("rel", i), Pages, relation(pages, uint64(i)))
	}
	marked := ptrack.NewPageMap(0)
	for b := range uint32(300) {
		if b%7 == 0 || b > 280 {
			marked.Add(b)
		}
	}
	tasks[len(tasks)-1].Map = marked
	for i := range 300 {
		content := bytes.Repeat([]byte{byte(i)}, i*i%70000)
		task := add(fmt.Sprint("plain", i), Plain, content)
		if i%3 == 0 && len(content) > 0 { // known, and half of them changed since
			task.Known, task.KnownCRC = true, crc32c.Sum(content)+uint32(i%2)
		}
	}
	gone := add("gone", Pages, relation(3, 9))
	gone2 := add("gone2", Plain, []byte("x"))
	for _, task := range []*Task{gone, gone2} {
		if err := os.Remove(filepath.Join(dir, task.Path)); err != nil {
			t.Fatal(err)
		}
	}
	return dir, tasks
}

// copyTo copies all tasks and returns what there is then, by path.
func copyTo(t *testing.T, source remote.Source, tasks []Task, done func(int)) (map[string]Result, string, error) {
	t.Helper()
	out := t.TempDir()
	mine := append([]Task(nil), tasks...)
	for i := range mine {
		mine[i].Dirs = &Dirs{Source: mine[i].Dirs.Source, Dest: out}
	}
	results := map[string]Result{}
	var headers bytes.Buffer
	err := Copy(context.Background(), Options{
		Source: source, Out: fsx.OS(), Workers: 3, Alg: compress.Zstd, Level: 1, NoSync: true,
		Rules: pgdata.PageRules{Family: pgdata.PostgreSQL, Checksums: true}, Headers: blockfile.NewMapWriter(&headers),
		Done: func(task *Task, r Result) error {
			r.Headers = blockfile.MapRef{} // their order is that of the copy
			results[task.Path] = r
			if done != nil {
				done(len(results))
			}
			return nil
		},
	}, mine)
	return results, out, err
}

// A copy from afar, which looks ahead, is the copy from near.
func TestCopyFromAfar(t *testing.T) {
	dir, tasks := farTree(t)
	want, near, err := copyTo(t, remote.Local(fsx.OS()), tasks, nil)
	if err != nil {
		t.Fatal(err)
	}
	host := connectFar(t, &agenttest.Pipe{Delay: 5 * time.Millisecond}, dir)
	got, far, err := copyTo(t, host, tasks, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range tasks {
		if got[task.Path] != want[task.Path] {
			t.Errorf("%s: %+v, want %+v", task.Path, got[task.Path], want[task.Path])
		}
		a, aerr := os.ReadFile(filepath.Join(near, task.Path))
		b, berr := os.ReadFile(filepath.Join(far, task.Path))
		if !bytes.Equal(a, b) || (aerr == nil) != (berr == nil) {
			t.Errorf("%s: %d bytes, want %d; %v, %v", task.Path, len(b), len(a), berr, aerr)
		}
	}
	if err := host.Close(); err != nil {
		t.Error(err)
	}
}

func connectFar(t *testing.T, link *agenttest.Pipe, dir string) remote.Host {
	t.Helper()
	host, err := agent.Connect(context.Background(), link, agent.ConnectOptions{Where: "far", Channels: 2})
	if err != nil {
		t.Fatal(err)
	}
	if err := host.Admit(context.Background(), dir); err != nil {
		t.Fatal(err)
	}
	return host
}

// Wherever the line breaks, the copy ends, and says why. (With fewer files left
// than three workers have announced it might have all of them already.)
func TestCopyCutOff(t *testing.T) {
	dir, tasks := farTree(t)
	for after := 0; after < 100; after += 37 {
		link := &agenttest.Pipe{}
		host := connectFar(t, link, dir)
		var cut atomic.Bool
		_, _, err := copyTo(t, host, tasks, func(done int) {
			if done > after && !cut.Swap(true) {
				for _, c := range link.Channels() {
					c.Cut()
				}
			}
		})
		if err == nil || !bytes.Contains([]byte(err.Error()), []byte("Communication error: ")) {
			t.Errorf("cut after %d files: %v", after, err)
		}
		if err := host.Close(); err != nil {
			t.Error(err)
		}
		for _, c := range link.Channels() {
			<-c.Ended()
		}
	}
}
