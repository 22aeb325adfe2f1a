package slowlink

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// device is the name of the TUN device in either namespace.
const device = "gsp0"

// tunnel carries packets between two TUN devices.
//
//	read -> wait for the line to be free, len*8/rate each -> delay -> write
//
// A packet that would have to wait longer than queueTime is dropped, as a
// router does whose buffer is full.
type tunnel struct {
	ends  [2]*os.File
	opts  Options
	wait  sync.WaitGroup
	ended chan struct{}
}

const queueTime = 200 * time.Millisecond

type packet struct {
	due  time.Time
	data []byte
}

func newTunnel(l *Line, o Options) (*tunnel, error) {
	t := &tunnel{opts: o, ended: make(chan struct{})}
	for i, enter := range []func(func() error) error{l.Near, l.Far} {
		if err := enter(func() (err error) {
			t.ends[i], err = openTUN()
			return err
		}); err != nil {
			return nil, err
		}
	}
	return t, nil
}

func openTUN() (*os.File, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("open /dev/net/tun: %w", err)
	}
	req, err := unix.NewIfreq(device)
	if err == nil {
		req.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, req)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("make a TUN device: %w", err), unix.Close(fd))
	}
	return os.NewFile(uintptr(fd), "tun"), nil
}

func (t *tunnel) run() {
	for i := range t.ends {
		from, to := t.ends[i], t.ends[1-i]
		line := make(chan packet, 16<<10)
		t.wait.Go(func() { t.take(from, line) })
		t.wait.Go(func() { deliver(to, line, t.ended) })
	}
}

// take reads packets and says when each one arrives.
func (t *tunnel) take(from *os.File, line chan<- packet) {
	defer close(line)
	free := time.Now() // when the line can take the next packet
	for {
		buf := make([]byte, 2048)
		n, err := from.Read(buf)
		if err != nil {
			return // closed
		}
		now := time.Now()
		if free.Before(now) {
			free = now
		}
		if free.Sub(now) > queueTime {
			continue
		}
		free = free.Add(time.Duration(int64(n) * 8 * int64(time.Second) / t.opts.Rate))
		select {
		case line <- packet{due: free.Add(t.opts.RoundTrip / 2), data: buf[:n]}:
		default:
		}
	}
}

func deliver(to *os.File, line <-chan packet, ended <-chan struct{}) {
	for p := range line {
		if d := time.Until(p.due); d > 0 {
			select {
			case <-time.After(d):
			case <-ended:
				return
			}
		}
		if _, err := to.Write(p.data); err != nil && errors.Is(err, os.ErrClosed) {
			return
		}
	}
}

func (t *tunnel) Close() error {
	close(t.ended)
	var errs []error
	for _, end := range t.ends {
		if end != nil {
			errs = append(errs, end.Close())
		}
	}
	t.wait.Wait()
	return errors.Join(errs...)
}
