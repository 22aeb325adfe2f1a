package remote

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"gsprobackup/internal/fsx"
)

// A limited host answers as the bare one, and stays far if it is.
func TestLimitedKeepsWhatAHostIs(t *testing.T) {
	path, _ := relation(t, 10)
	l := NewLimiter(0)
	near, far := Limited(Local(fsx.OS()), l), Limited(farHost{Local(fsx.OS())}, l)
	if Workers(near, 3) != 3 || Workers(far, 3) != 9 {
		t.Errorf("workers: %d near, %d far", Workers(near, 3), Workers(far, 3))
	}
	for _, h := range []Host{near, far} {
		r, err := h.NewReader()
		if err != nil {
			t.Fatal(err)
		}
		if _, ahead := r.(Ahead); ahead != (h == far) {
			t.Errorf("looks ahead: %v", ahead)
		}
		if run, err := readRun(t, h, RunRequest{Path: path, To: 10, Rules: pgRules}); err != nil || run.Pages != 10 {
			t.Errorf("%d pages, %v", run.Pages, err)
		}
	}
}

type farHost struct{ Host }

func (farHost) Workers(n int) int { return 3 * n }
func (h farHost) NewReader() (Reader, error) {
	r, err := h.Host.NewReader()
	return farReader{r}, err
}

type farReader struct{ Reader }

func (farReader) Room() bool                                             { return false }
func (farReader) AnnounceRun(context.Context, *RunRequest) error         { return nil }
func (farReader) AnnounceCopy(context.Context, CopyRequest, int64) error { return nil }
func (farReader) AnnounceChecksum(context.Context, string) error         { return nil }

type discardSink struct{}

func (discardSink) Data([]byte) error { return nil }
func (discardSink) Hole(int64) error  { return nil }

// Everything that moves content waits for its bytes: under a limit that lets
// next to nothing pass, each ends with its context.
func TestLimitCounts(t *testing.T) {
	path, _ := relation(t, 100)
	host := Limited(Local(fsx.OS()), NewLimiter(1))
	r, err := host.NewReader()
	if err != nil {
		t.Fatal(err)
	}
	w, err := host.NewWriter()
	if err != nil {
		t.Fatal(err)
	}
	run, err := readRun(t, Local(fsx.OS()), RunRequest{Path: path, To: 100, Rules: pgRules})
	if err != nil {
		t.Fatal(err)
	}
	why := errors.New("enough")
	var sums PageSums
	for name, call := range map[string]func(context.Context) error{
		"ReadRun": func(ctx context.Context) error {
			return r.ReadRun(ctx, &RunRequest{Path: path, To: 100, Rules: pgRules}, new(Run))
		},
		"CopyFile": func(ctx context.Context) error {
			_, err := r.CopyFile(ctx, CopyRequest{Path: path}, discardSink{})
			return err
		},
		"Checksum": func(ctx context.Context) error { _, _, err := r.Checksum(ctx, path); return err },
		"FileSums": func(ctx context.Context) error { _, err := r.FileSums(ctx, []string{path}); return err },
		"PageSums": func(ctx context.Context) error {
			return r.PageSums(ctx, &SumRequest{Path: path, To: 100, Rules: pgRules}, &sums)
		},
		"WriteRun": func(ctx context.Context) error {
			return w.WriteRun(ctx, &WriteRequest{Path: path, Frames: run.Frames, Headers: run.Headers})
		},
		"Data": func(ctx context.Context) error {
			f, err := host.CreateFile(ctx, filepath.Join(t.TempDir(), "f"), CreateOptions{Mode: 0o600})
			if err != nil {
				return err
			}
			return errors.Join(f.Data(make([]byte, 1<<20)), f.Close())
		},
	} {
		ctx, cancel := context.WithCancelCause(context.Background())
		time.AfterFunc(20*time.Millisecond, func() { cancel(why) })
		err := call(ctx)
		if err == nil { // the first of all may overdraw
			err = call(ctx)
		}
		if !errors.Is(err, why) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A limit that is lifted lets go at once who waits.
func TestLimitChanges(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, make([]byte, 5<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	l := NewLimiter(1000)
	r, err := Limited(Local(fsx.OS()), l).NewReader()
	if err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(20*time.Millisecond, func() {
		l.Set(1)
		l.Set(0)
	})
	if _, err := r.CopyFile(context.Background(), CopyRequest{Path: path}, discardSink{}); err != nil {
		t.Error(err)
	}
}

// Over a while as much passes as the limit says.
func TestLimitRate(t *testing.T) {
	const perSecond = 8 << 20
	l := NewLimiter(perSecond)
	began := time.Now()
	for range 32 {
		if err := l.wait(context.Background(), 64<<10); err != nil {
			t.Fatal(err)
		}
	}
	// No more than the limit; how much less depends on the machine.
	if took, least := time.Since(began), time.Second*31*(64<<10)/perSecond; took < least {
		t.Errorf("2 MiB passed in %v, want at least %v", took, least)
	}
}
