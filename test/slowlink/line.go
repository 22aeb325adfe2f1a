// Package slowlink makes a slow line between two network namespaces of its
// own, for measurements of remote mode. It needs root and iproute2, and touches
// no interface of the machine.
//
// Where the kernel has netem, that shapes a veth pair. Where it has not, the
// line is two TUN devices and a goroutine for each direction that delays real
// packets the way netem does, so that TCP behaves as on a long line.
package slowlink

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Addresses of the two ends, in their namespaces.
const (
	NearAddress = "10.203.77.1"
	FarAddress  = "10.203.77.2"
)

// Line is two namespaces and what joins them.
type Line struct {
	Kind      string // "netem" or "tun"
	near, far string // names of the namespaces
	tun       *tunnel
}

// Options of a line; both directions are alike.
type Options struct {
	RoundTrip time.Duration
	Rate      int64 // bits per second
}

// New makes a line. Close removes it.
func New(o Options) (*Line, error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("make a slow line: network namespaces need root")
	}
	id := strconv.Itoa(os.Getpid())
	l := &Line{near: "gsp-near-" + id, far: "gsp-far-" + id}
	for _, ns := range []string{l.near, l.far} {
		if err := ip("netns", "add", ns); err != nil {
			return nil, errors.Join(err, l.Close())
		}
		if err := ip("-n", ns, "link", "set", "lo", "up"); err != nil {
			return nil, errors.Join(err, l.Close())
		}
	}
	if err := l.join(o); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

func (l *Line) join(o Options) error {
	if l.netem(o) == nil {
		l.Kind = "netem"
		return nil
	}
	l.Kind = "tun"
	var err error
	if l.tun, err = newTunnel(l, o); err != nil {
		return err
	}
	for _, end := range []struct{ ns, own, other string }{{l.near, NearAddress, FarAddress}, {l.far, FarAddress, NearAddress}} {
		if err := errors.Join(ip("-n", end.ns, "addr", "add", end.own, "peer", end.other, "dev", device),
			ip("-n", end.ns, "link", "set", device, "up", "mtu", "1500", "txqueuelen", "1000")); err != nil {
			return err
		}
	}
	l.tun.run()
	return nil
}

// netem joins the namespaces with a shaped veth pair.
func (l *Line) netem(o Options) error {
	if err := ip("-n", l.near, "link", "add", "v0", "type", "veth", "peer", "name", "v0", "netns", l.far); err != nil {
		return err
	}
	for _, end := range []struct{ ns, own string }{{l.near, NearAddress}, {l.far, FarAddress}} {
		delay := strconv.FormatInt((o.RoundTrip/2).Microseconds(), 10) + "us"
		err := run("tc", "-n", end.ns, "qdisc", "add", "dev", "v0", "root", "netem",
			"delay", delay, "rate", strconv.FormatInt(o.Rate, 10)+"bit", "limit", "4000")
		if err != nil {
			return errors.Join(err, ip("-n", l.near, "link", "del", "v0"))
		}
		if err := errors.Join(ip("-n", end.ns, "addr", "add", end.own+"/24", "dev", "v0"), ip("-n", end.ns, "link", "set", "v0", "up")); err != nil {
			return err
		}
	}
	return nil
}

// Close removes the line; processes that still run in it keep only their
// namespaces alive.
func (l *Line) Close() error {
	var errs []error
	if l.tun != nil {
		errs = append(errs, l.tun.Close())
	}
	for _, ns := range []string{l.near, l.far} {
		if _, err := os.Stat("/run/netns/" + ns); err == nil {
			errs = append(errs, ip("netns", "del", ns))
		}
	}
	return errors.Join(errs...)
}

// Near and Far call f in the namespace of an end. Sockets that f itself makes
// and processes it starts belong there; its goroutines do not.
func (l *Line) Near(f func() error) error { return inside(l.near, f) }

// Far is the other end.
func (l *Line) Far(f func() error) error { return inside(l.far, f) }

func inside(ns string, f func() error) error {
	done := make(chan error, 1)
	go func() {
		// The thread ends with this goroutine: it is never unlocked.
		runtime.LockOSThread()
		handle, err := os.Open("/run/netns/" + ns)
		if err != nil {
			done <- err
			return
		}
		err = unix.Setns(int(handle.Fd()), unix.CLONE_NEWNET)
		_ = handle.Close() // only read
		if err != nil {
			done <- fmt.Errorf("enter namespace %s: %w", ns, err)
			return
		}
		done <- f()
	}()
	return <-done
}

func ip(args ...string) error { return run("ip", args...) }

func run(name string, args ...string) error {
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}
