package walstream

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"gsprobackup/internal/fsx"
	"gsprobackup/internal/wal"
)

// TestGoldenSegmentsInPieces feeds real segments in messages of odd sizes and
// expects the same files and a good WAL range.
func TestGoldenSegmentsInPieces(t *testing.T) {
	names := []string{"000000010000000000000009", "00000001000000000000000A", "00000001000000000000000B"}
	var log []byte
	for _, n := range names {
		log = append(log, unzstd(t, "pg15_"+n+".zst")...)
	}
	format, err := wal.PostgreSQL(15)
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "run")
		if err != nil {
			rt.Fatal(err)
		}
		defer os.RemoveAll(dir)
		d := rapid.SampledFrom([]Dialect{OpenGauss(), PostgreSQL()}).Draw(rt, "dialect")
		o := options(d, dir)
		o.Start, o.Slot = 9*mib, rapid.Bool().Draw(rt, "slot")
		// The log may end anywhere behind the record needed.
		size := rapid.SampledFrom([]int{len(log), 0xBF9DB0 + 24 - 9*mib, len(log) - 1}).Draw(rt, "size")
		f := newFake(d)
		r := mustStart(t, f, o)
		for pos := 0; pos < size; {
			n := min(size-pos, rapid.IntRange(1, 900_000).Draw(rt, "piece"))
			f.in <- walMessage(d, o.Start+wal.LSN(pos), log[pos:pos+n])
			pos += n
		}
		stop := o.Start + wal.LSN(size)
		if err := r.WaitFor(t.Context(), stop); err != nil {
			rt.Fatal(err)
		}
		r.Stop(stop)
		if err := r.Wait(); err != nil {
			rt.Fatal(err)
		}
		for i, n := range names {
			if size < len(log) && i == 2 {
				n += wal.PartialSuffix
			}
			got, err := os.ReadFile(filepath.Join(dir, n))
			want := make([]byte, mib)
			copy(want, log[i*mib:min(size, (i+1)*mib)])
			if err != nil || !bytes.Equal(got, want) {
				rt.Fatalf("segment %s differs, %v", n, err)
			}
		}
		ro := wal.ReaderOptions{Format: format, Timeline: 1, SegSize: mib}
		if _, err := wal.CheckRange(t.Context(), wal.Dir{FS: fsx.OS(), Path: dir}, 0x900028, 0xBF9DB0, wal.CheckOptions{ReaderOptions: ro}); err != nil {
			rt.Fatal(err)
		}
	})
}

// TestReplayCapturedSession plays the server's side of a real backup. What the
// capture cut off is behind the switch record and of no meaning.
func TestReplayCapturedSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		f, events := newFake(OpenGauss()), &eventLog{}
		o := options(OpenGauss(), dir)
		o.SegSize, o.Start, o.Events = 16*mib, 0x4B000000, events
		r := mustStart(t, f, o)
		asked := 0
		for _, c := range capturedMessages(t) {
			if c.session != "b_full_stream_ha_01" || !c.fromServer {
				continue
			}
			if m, _ := o.Dialect.Decode(c.payload); m.ReplyRequested {
				asked++
			}
			f.in <- append(c.payload, make([]byte, c.length-len(c.payload))...)
		}
		if err := r.WaitFor(t.Context(), 0x4C000000); err != nil {
			t.Fatal(err)
		}
		r.Stop(0x4C000000)
		if err := r.Wait(); err != nil {
			t.Fatal(err)
		}
		if got := ls(t, dir); !reflect.DeepEqual(got, []string{"00000001000000000000004B"}) {
			t.Errorf("files %v", got)
		}
		if sent := f.statuses(); len(sent) != asked || sent[0].Flush != 0 || sent[0].ReplyRequested {
			t.Errorf("%d replies to %d requests: %+v", len(sent), asked, sent)
		}
		if n, _ := count[KeepaliveReceived](events); n != 2 {
			t.Errorf("%d keepalive events", n)
		}
		ro := wal.ReaderOptions{Format: wal.OpenGauss(), Timeline: 1, SystemID: 215046882207064539}
		st, err := wal.CheckRange(t.Context(), wal.Dir{FS: fsx.OS(), Path: dir}, 0x4B000028, 0x4B0001E8, wal.CheckOptions{ReaderOptions: ro})
		if err != nil || st.Records != 6 {
			t.Errorf("stored WAL: %+v, %v", st, err)
		}
	})
}

// TestReplies: requests are answered at once, statuses and pings come by
// themselves, and the flush position is reported by the rules.
func TestReplies(t *testing.T) {
	for _, c := range []struct {
		name  string
		d     Dialect
		slot  bool
		flush FlushReport
		// flush positions told after 100 bytes, and after a whole segment
		some, whole wal.LSN
		perMessage  bool
	}{
		{"openGauss", OpenGauss(), false, 0, 0, 0, false},
		{"openGauss slot", OpenGauss(), true, 0, 5*mib + 100, 6 * mib, true},
		{"PostgreSQL", PostgreSQL(), false, 0, 0, 0, false},
		{"PostgreSQL slot", PostgreSQL(), true, 0, 5 * mib, 6 * mib, false},
		{"PostgreSQL slot, never", PostgreSQL(), true, FlushNever, 0, 0, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake(c.d)
				o := options(c.d, t.TempDir())
				o.Slot, o.Flush = c.slot, c.flush
				r := mustStart(t, f, o)
				f.in <- walMessage(c.d, 5*mib, make([]byte, 100))
				synctest.Wait()
				if got := len(f.statuses()); (got == 1) != c.perMessage {
					t.Errorf("%d statuses after a message", got)
				}
				before := len(f.statuses())
				f.in <- keepalive(c.d, 5*mib, true)
				f.in <- keepalive(c.d, 5*mib, false)
				synctest.Wait()
				sent := f.statuses()
				if len(sent) != before+1 {
					t.Fatalf("%d statuses after one request", len(sent)-before)
				}
				last := sent[len(sent)-1]
				if last.Flush != c.some || last.ReplyRequested || last.Apply != 0 || (last.Write != 0) != c.d.tellWrite {
					t.Errorf("answer %+v", last)
				}
				f.in <- walMessage(c.d, 5*mib+100, make([]byte, mib-100))
				synctest.Wait()
				time.Sleep(time.Minute) // bubble time
				sent = f.statuses()[before+1:]
				if last := sent[len(sent)-1]; last.Flush != c.whole {
					t.Errorf("status at the end %+v, want flush %s", last, c.whole)
				}
				pings := 0
				for i, s := range sent {
					if s.ReplyRequested {
						pings++
					}
					if i > 0 && s.SendTime.Sub(sent[i-1].SendTime) > c.d.statusEvery+time.Second {
						t.Errorf("no status between %s and %s", sent[i-1].SendTime, s.SendTime)
					}
				}
				if want := int(time.Minute / c.d.pingEvery); pings < want-1 || pings > want {
					t.Errorf("%d pings in a minute, want %d", pings, want)
				}
				r.Stop(6 * mib)
				if err := r.Wait(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// TestSlowDiskDoesNotStopReplies: while a sync hangs, WAL is taken in and
// requests are answered; the segment has its name only after the sync.
func TestSlowDiskDoesNotStopReplies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, dir := newFake(OpenGauss()), t.TempDir()
		o := options(OpenGauss(), dir)
		release := make(chan struct{})
		o.FS = &brokenFS{FS: o.FS, sync: func() error { <-release; return nil }}
		r := mustStart(t, f, o)
		for i := range 3 {
			f.in <- walMessage(o.Dialect, wal.LSN(5+i)*mib, make([]byte, mib))
			f.in <- keepalive(o.Dialect, 8*mib, true)
			synctest.Wait()
			if got := len(f.statuses()); got != i+1 {
				t.Errorf("%d answers, want %d", got, i+1)
			}
		}
		if r.Written() != 8*mib || r.Synced() != 5*mib {
			t.Errorf("written %s, synced %s", r.Written(), r.Synced())
		}
		if got := ls(t, dir); len(got) != 3 || filepath.Ext(got[0]) != wal.PartialSuffix {
			t.Errorf("files %v", got)
		}
		r.Stop(8 * mib)
		close(release)
		if err := r.Wait(); err != nil {
			t.Error(err)
		}
		if got := ls(t, dir); len(got) != 3 || filepath.Ext(got[2]) != "" || r.Synced() != 8*mib {
			t.Errorf("files %v, synced %s", got, r.Synced())
		}
	})
}

func TestLastSegment(t *testing.T) {
	for _, rename := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			f, dir, events := newFake(PostgreSQL()), t.TempDir(), &eventLog{}
			o := options(PostgreSQL(), dir)
			o.RenamePartial, o.Events = rename, events
			r := mustStart(t, f, o)
			r.Stop(6*mib + 50)
			f.in <- walMessage(o.Dialect, 5*mib, bytes.Repeat([]byte{7}, mib+100))
			if err := r.Wait(); err != nil {
				t.Fatal(err)
			}
			want := []string{"000000010000000000000005", "000000010000000000000006.partial"}
			left, l := count[SegmentPartialLeft](events)
			renamed, n := count[SegmentPartialRenamed](events)
			if rename {
				want[1] = "000000010000000000000006"
			}
			if got := ls(t, dir); !reflect.DeepEqual(got, want) {
				t.Errorf("files %v, want %v", got, want)
			}
			if (left == 1) == rename || (renamed == 1) != rename || l.End+n.End != 6*mib+100 || l.Path+n.Path != filepath.Join(dir, want[1]) {
				t.Errorf("events %+v", events.list())
			}
			b, err := os.ReadFile(filepath.Join(dir, want[1]))
			if err != nil || len(b) != mib || b[99] != 7 || bytes.Count(b[100:], []byte{0}) != mib-100 {
				t.Errorf("last segment has %d bytes, %v", len(b), err)
			}
			if st, err := os.Stat(filepath.Join(dir, want[1])); err != nil || st.Mode() != 0o600 {
				t.Errorf("mode %v, %v", st.Mode(), err)
			}
			if n, e := count[StreamStopped](events); n != 1 || e.LSN != 6*mib+100 {
				t.Errorf("stopped %d times at %s", n, e.LSN)
			}
		})
	}
}

// TestStopAtSegmentEnd: WAL of the next segment in the same message is not
// kept, so that no .partial is left.
func TestStopAtSegmentEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, dir := newFake(OpenGauss()), t.TempDir()
		r := mustStart(t, f, options(OpenGauss(), dir))
		r.Stop(6 * mib)
		f.in <- walMessage(OpenGauss(), 5*mib, make([]byte, mib+100))
		if err := r.Wait(); err != nil {
			t.Fatal(err)
		}
		if got := ls(t, dir); !reflect.DeepEqual(got, []string{"000000010000000000000005"}) {
			t.Errorf("files %v", got)
		}
	})
}

func TestWaitFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(OpenGauss())
		r := mustStart(t, f, options(OpenGauss(), t.TempDir()))
		got := make(chan error)
		go func() { got <- r.WaitFor(t.Context(), 5*mib+200) }()
		ctx, cancel := context.WithCancel(t.Context())
		gone := make(chan error)
		go func() { gone <- r.WaitFor(ctx, 1<<40) }()
		f.in <- walMessage(OpenGauss(), 5*mib, make([]byte, 100))
		synctest.Wait()
		select {
		case err := <-got:
			t.Fatalf("came back at %s: %v", r.Written(), err)
		default:
		}
		f.in <- walMessage(OpenGauss(), 5*mib+100, make([]byte, 100))
		if err := <-got; err != nil {
			t.Error(err)
		}
		cancel()
		if err := <-gone; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		r.Stop(5*mib + 200)
		var stopped *StoppedError
		if err := r.WaitFor(t.Context(), 5*mib+201); !errors.As(err, &stopped) {
			t.Errorf("waiting beyond the stop: %v", err)
		}
		if err := r.Wait(); err != nil {
			t.Error(err)
		}
	})
}

// TestStreamDies: whatever ends the stream is named to waiters at once, and a
// segment that was cut keeps its .partial name.
func TestStreamDies(t *testing.T) {
	removed := errors.New(`requested WAL segment 000000010000000000000005 has already been removed`)
	var gap *GapError
	var ended *EndedError
	var stalled *StalledError
	var protocol *ProtocolError
	for _, c := range []struct {
		name string
		act  func(f *fakeStream, cancel func())
		ok   func(error) bool
	}{
		{"server error", func(f *fakeStream, _ func()) { f.end = removed; close(f.in) }, func(err error) bool { return errors.Is(err, removed) }},
		{"connection lost", func(f *fakeStream, _ func()) { f.end = io.ErrUnexpectedEOF; close(f.in) }, func(err error) bool { return errors.Is(err, io.ErrUnexpectedEOF) }},
		{"server ends", func(f *fakeStream, _ func()) { f.end = io.EOF; close(f.in) }, func(err error) bool { return errors.As(err, &ended) && ended.LSN == 5*mib+100 }},
		{"gap", func(f *fakeStream, _ func()) { f.in <- walMessage(f.d, 5*mib+101, []byte("x")) }, func(err error) bool { return errors.As(err, &gap) && gap.Want == 5*mib+100 }},
		{"repetition", func(f *fakeStream, _ func()) { f.in <- walMessage(f.d, 5*mib, []byte("x")) }, func(err error) bool { return errors.As(err, &gap) }},
		{"garbage", func(f *fakeStream, _ func()) { f.in <- []byte("?") }, func(err error) bool { return errors.As(err, &protocol) }},
		{"silence", func(*fakeStream, func()) {}, func(err error) bool { return errors.As(err, &stalled) && stalled.LSN == 5*mib+100 }},
		{"cancelled", func(_ *fakeStream, cancel func()) { cancel() }, func(err error) bool { return errors.Is(err, context.Canceled) }},
		{"cannot send", func(f *fakeStream, _ func()) { f.sendTo = func([]byte) error { return syscall.EPIPE } }, func(err error) bool { return errors.Is(err, syscall.EPIPE) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, dir := newFake(OpenGauss()), t.TempDir()
				o := options(OpenGauss(), dir)
				o.StallTimeout, o.RenamePartial = 30*time.Second, true
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				r, err := Start(ctx, f, o)
				if err != nil {
					t.Fatal(err)
				}
				f.in <- walMessage(o.Dialect, 5*mib, make([]byte, 100))
				synctest.Wait()
				c.act(f, cancel)
				if err := r.WaitFor(t.Context(), 6*mib); !c.ok(err) {
					t.Errorf("waiter got %v", err)
				}
				if err := r.Wait(); !c.ok(err) {
					t.Errorf("ended with %v", err)
				}
				if got := ls(t, dir); !reflect.DeepEqual(got, []string{"000000010000000000000005.partial"}) {
					t.Errorf("files %v", got)
				}
				// All that was needed had come: not a failure.
				if err := r.WaitFor(t.Context(), 5*mib+100); err != nil {
					t.Errorf("waiting for what is there: %v", err)
				}
				r.Stop(5*mib + 100)
				if err := r.Wait(); err != nil {
					t.Errorf("stopped before the death: %v", err)
				}
			})
		})
	}
}

// TestStorageFails: such errors spoil everything, even a position reached.
func TestStorageFails(t *testing.T) {
	full := &fs.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC}
	for _, c := range []struct {
		name  string
		fs    *brokenFS
		files []string
	}{
		{"write", &brokenFS{write: func(off int64) error {
			if off > 0 {
				return full
			}
			return nil
		}}, []string{"000000010000000000000005.partial"}},
		{"sync", &brokenFS{sync: func() error { return full }}, []string{"000000010000000000000005.partial"}},
		{"rename", &brokenFS{rename: full}, []string{"000000010000000000000005.partial"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, dir := newFake(OpenGauss()), t.TempDir()
				o := options(OpenGauss(), dir)
				c.fs.FS = o.FS
				o.FS = c.fs
				r := mustStart(t, f, o)
				f.in <- walMessage(o.Dialect, 5*mib, make([]byte, 100))
				f.in <- walMessage(o.Dialect, 5*mib+100, make([]byte, mib-100))
				synctest.Wait()
				if err := r.WaitFor(t.Context(), 5*mib+100); !errors.Is(err, syscall.ENOSPC) {
					t.Errorf("waiter got %v", err)
				}
				r.Stop(5*mib + 50)
				if err := r.Wait(); !errors.Is(err, syscall.ENOSPC) {
					t.Errorf("ended with %v", err)
				}
				if got := ls(t, dir); !reflect.DeepEqual(got, c.files) {
					t.Errorf("files %v", got)
				}
			})
		})
	}
}

// TestDurableSteps pins the order of what is done to the file system. The
// second segment stays incomplete: its name must be durable as well.
func TestDurableSteps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(PostgreSQL())
		o := options(PostgreSQL(), t.TempDir())
		log := &brokenFS{FS: o.FS}
		o.FS = log
		r := mustStart(t, f, o)
		f.in <- walMessage(o.Dialect, 5*mib, make([]byte, mib))
		synctest.Wait()
		r.Stop(6*mib + 8)
		f.in <- walMessage(o.Dialect, 6*mib, make([]byte, 8))
		if err := r.Wait(); err != nil {
			t.Fatal(err)
		}
		want := []string{
			"open partial", "truncate", "write", "sync", "close", "rename partial", "syncdir",
			"open partial", "truncate", "write", "sync", "close", "syncdir",
		}
		if !reflect.DeepEqual(log.log, want) {
			t.Errorf("steps\n%q, want\n%q", log.log, want)
		}
	})
}

func TestFilesOfEarlierRuns(t *testing.T) {
	for _, c := range []struct {
		name string
		file string
		size int
		ok   bool
	}{
		{"empty partial", "000000010000000000000005.partial", 0, true},
		{"full partial", "000000010000000000000005.partial", mib, true},
		{"odd partial", "000000010000000000000005.partial", 4096, false},
		{"complete segment", "000000010000000000000005", mib, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, dir := newFake(OpenGauss()), t.TempDir()
				if err := os.WriteFile(filepath.Join(dir, c.file), bytes.Repeat([]byte{9}, c.size), 0o600); err != nil {
					t.Fatal(err)
				}
				r := mustStart(t, f, options(OpenGauss(), dir))
				f.in <- walMessage(OpenGauss(), 5*mib, make([]byte, 100))
				r.Stop(5*mib + 100)
				err := r.Wait()
				if (err == nil) != c.ok {
					t.Fatal(err)
				}
				b, rerr := os.ReadFile(filepath.Join(dir, c.file))
				if rerr != nil || c.ok && bytes.IndexByte(b, 9) >= 0 {
					t.Errorf("old bytes are still there, %v", rerr)
				}
				if !c.ok && len(b) != c.size {
					t.Errorf("file of an earlier run now has %d bytes", len(b))
				}
			})
		})
	}
}

func TestOptionsAreChecked(t *testing.T) {
	good := options(OpenGauss(), t.TempDir())
	for name, spoil := range map[string]func(*Options){
		"unaligned start": func(o *Options) { o.Start += 8192 },
		"segment size":    func(o *Options) { o.SegSize = 12345 },
		"no dialect":      func(o *Options) { o.Dialect = Dialect{} },
		"no timeline":     func(o *Options) { o.Timeline = 0 },
	} {
		o := good
		spoil(&o)
		if _, err := Start(t.Context(), newFake(OpenGauss()), o); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
	if got := StartPosition(0x5A123456, 16*mib); got != 0x5A000000 {
		t.Errorf("start position %s", got)
	}
}
