package server

import (
	"context"
	"fmt"
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// watchInterval is how often an idle connection is looked at. A look is one
// poll(2) without waiting and takes no data off the socket, so it needs no
// turn on the connection and works below TLS.
const watchInterval = 500 * time.Millisecond

// watch ends the connection when the peer has closed its side. A running
// statement notices that by itself.
func (c *Conn) watch(raw net.Conn) {
	defer close(c.watchDone)
	tick := time.NewTicker(watchInterval)
	defer tick.Stop()
	for {
		select {
		case <-c.done:
			return
		case <-tick.C:
		}
		if !hungUp(raw) {
			continue
		}
		select {
		case <-c.turn:
			c.end(fmt.Errorf("lost connection to server: %w", c.lastWords()))
			c.turn <- struct{}{}
			return
		default: // a statement runs and will find out
		}
	}
}

// lastWords reads what the server said before it hung up, such as FATAL
// "terminating connection due to administrator command".
func (c *Conn) lastWords() error {
	ctx, cancel := context.WithTimeout(context.Background(), watchInterval)
	defer cancel()
	for {
		if _, err := c.pg.ReceiveMessage(ctx); err != nil {
			return err
		}
	}
}

// hungUp tells whether the peer has closed the connection or the kernel has
// given it up (keepalive, TCP_USER_TIMEOUT).
func hungUp(conn net.Conn) bool {
	sc, ok := conn.(syscall.Conn)
	if !ok {
		return false
	}
	rc, err := sc.SyscallConn()
	if err != nil {
		return true // closed on our side
	}
	gone := false
	err = rc.Control(func(fd uintptr) {
		p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}
		n, err := unix.Poll(p, 0)
		gone = err == nil && n > 0 && p[0].Revents&(unix.POLLRDHUP|unix.POLLHUP|unix.POLLERR|unix.POLLNVAL) != 0
	})
	return gone || err != nil
}

// netDialer dials with the network time-out of --rw-timeout: the kernel gives
// a connection up when sent data or probes stay unanswered that long. A server
// that merely takes its time, as in a spread checkpoint, is not cut off.
func netDialer(timeout time.Duration) *net.Dialer {
	return &net.Dialer{
		KeepAliveConfig: net.KeepAliveConfig{
			Enable:   true,
			Idle:     max(timeout/4, time.Second),
			Interval: max(timeout/8, time.Second),
			Count:    6,
		},
		Control: func(network, _ string, rc syscall.RawConn) error {
			if network == "unix" {
				return nil
			}
			var opt error
			err := rc.Control(func(fd uintptr) {
				opt = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(timeout/time.Millisecond))
			})
			if err != nil {
				return err
			}
			return opt
		},
	}
}
