package cli

import (
	"bytes"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"gsprobackup/internal/compat"
)

// handClock is a clock and a ticker that move when a test says so.
type handClock struct {
	mu      sync.Mutex
	now     time.Time
	ticks   chan time.Time
	stopped chan struct{}
}

func newHandClock() *handClock {
	return &handClock{now: time.Unix(0, 0), ticks: make(chan time.Time), stopped: make(chan struct{}, 9)}
}

func (h *handClock) Now() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.now
}

func (h *handClock) tick(time.Duration) (<-chan time.Time, func()) {
	return h.ticks, func() { h.stopped <- struct{}{} }
}

func (h *handClock) pass(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now = h.now.Add(d)
}

// drawn hands each thing that is written to a test.
type drawn chan string

func (d drawn) Write(p []byte) (int, error) {
	d <- string(p)
	return len(p), nil
}

func barConsole(h *handClock, out io.Writer, width func() int) *console {
	return &console{screen: &screen{out: out, width: width}, profile: compat.Profile{Bars: true}, env: Env{Now: h.Now, Tick: h.tick}}
}

// On a terminal a bar goes on while no event comes, from before the first file
// on, and until its phase is over.
func TestBarStaysAlive(t *testing.T) {
	h, out := newHandClock(), make(drawn, 9)
	c := barConsole(h, out, func() int { return 70 })
	next := func(d time.Duration, want string) {
		t.Helper()
		h.pass(d)
		h.ticks <- time.Time{}
		if got := <-out; got != want+clearLine+"\r" {
			t.Errorf("got  %q\nwant %q", got, want)
		}
	}
	c.startBar(tailBackup, 4, 4<<20)
	next(3*time.Second, "Progress: ["+strings.Repeat(" ", 33)+"] 0% (0/4) backup file 3s")
	next(time.Second, "Progress: ["+strings.Repeat(" ", 33)+"] 0% (0/4) backup file 4s")
	h.pass(time.Second)
	c.updateBar(tailBackup, 1, 4, 1<<20)
	<-out
	c.refreshBar(c.bar.alive)
	if len(out) > 0 {
		t.Errorf("an event has just drawn it, and then %q", <-out)
	}
	next(time.Second, "Progress: [====              ] 25% (1/4) backup file 171kB/s, ETA 18s")
	next(6*time.Second, "Progress: [====               ] 25% (1/4) backup file 85kB/s, ETA 36s")
	c.finishBar(tailBackup)
	<-out
	<-h.stopped
	c.startBar(tailSyncBackup, 4, 0)
	next(2*time.Second, "Progress: ["+strings.Repeat(" ", 28)+"] 0% (0/4) Sync backup file 2s")
	c.dropBar()
	<-h.stopped
}

// What is no terminal gets what events draw.
func TestBarOfAPipeStaysStill(t *testing.T) {
	h := newHandClock()
	var out bytes.Buffer
	c := barConsole(h, &out, nil)
	c.startBar(tailBackup, 4, 0)
	select {
	case h.ticks <- time.Time{}:
		t.Error("a ticker runs")
	default:
	}
	if c.bar.alive != nil || out.Len() > 0 {
		t.Errorf("drawn: %q", out.String())
	}
	c.finishBar(tailBackup)
}

// Ticks, events and messages may come at any moment.
func TestBarRaces(t *testing.T) {
	h := newHandClock()
	c := barConsole(h, io.Discard, func() int { return 80 })
	done := make(chan struct{})
	go func() {
		for {
			select {
			case h.ticks <- time.Time{}:
				h.pass(time.Second)
			case <-done:
				return
			}
		}
	}()
	for range 20 {
		c.startBar(tailRestore, 100, 100)
		var workers sync.WaitGroup
		for range 4 {
			workers.Go(func() {
				for i := range 25 {
					c.updateBar(tailRestore, i, 100, 1)
					_, _ = beside{c.screen, io.Discard}.Write(nil)
				}
			})
		}
		workers.Wait()
		c.finishBar(tailRestore)
		<-h.stopped
	}
	close(done)
}
