// Command remote measures remote mode over a slow line: how much of the line a
// backup and a restore use, for data that does not compress and for data that
// does. It prints a table in Markdown and needs root (package slowlink).
//
// Only the ssh connection goes over the line; SQL and WAL use a local socket.
// A figure is bytes of the data directory (without WAL) per second, as a
// multiple of the line's rate: over the whole command, and over the time in
// which files are transferred. A plain TCP stream over the line is the peer.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"regexp"
	"strconv"
	"syscall"
	"time"

	"gsprobackup/test/pgserver"
	"gsprobackup/test/slowlink"
	"gsprobackup/test/sshserver"
)

func main() {
	var b bench
	flag.StringVar(&b.tool, "tool", "bin/gs_probackup", "the gs_probackup to measure")
	flag.DurationVar(&b.line.RoundTrip, "rtt", 50*time.Millisecond, "round trip time of the line")
	flag.Int64Var(&b.line.Rate, "rate", 100e6, "rate of the line, bits per second")
	flag.IntVar(&b.megabytes, "mb", 256, "least size of each cluster")
	flag.StringVar(&b.threads, "j", "4", "-j of backup and restore")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := b.run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench failed:", err)
		os.Exit(1)
	}
}

type bench struct {
	tool, threads string
	line          slowlink.Options
	megabytes     int

	account pgserver.Account
	dir     string
	slow    *slowlink.Line
	sshd    *sshserver.Server
}

func (b *bench) run(ctx context.Context) (err error) {
	if b.account, err = pgserver.RunAs(); err != nil {
		return err
	}
	if b.slow, err = slowlink.New(b.line); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.slow.Close()) }()
	err = b.slow.Far(func() (err error) {
		b.sshd, err = sshserver.Start(b.account, sshserver.Options{Listen: slowlink.FarAddress})
		return err
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.sshd.Stop()) }()
	if b.dir, err = b.account.TempDir("bench-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.dir)) }()
	if b.tool, err = b.account.CopyTool(b.tool, b.dir); err != nil {
		return err
	}
	tcp, err := b.plain()
	if err != nil {
		return err
	}
	fmt.Printf("Line (%s): %v, %.0f Mbit/s; one TCP stream carries %.1f Mbit/s of it.\n\n",
		b.slow.Kind, b.line.RoundTrip, float64(b.line.Rate)/1e6, tcp)
	fmt.Println("| data | command | size | whole | transfer | × line, whole | × line, transfer |")
	fmt.Println("|---|---|---|---|---|---|---|")
	for _, d := range datasets() {
		if err := b.measure(ctx, d); err != nil {
			return fmt.Errorf("%s: %w", d.name, err)
		}
	}
	return nil
}

// plain is what one TCP stream gets through the line, in Mbit/s.
func (b *bench) plain() (float64, error) {
	var far net.Listener
	if err := b.slow.Far(func() (err error) {
		far, err = net.Listen("tcp", slowlink.FarAddress+":0")
		return err
	}); err != nil {
		return 0, err
	}
	defer far.Close()
	const size = 64 << 20
	go func() {
		conn, err := far.Accept()
		if err != nil {
			return
		}
		_, _ = conn.Write(make([]byte, size)) // the reader counts
		_ = conn.Close()
	}()
	var conn net.Conn
	if err := b.slow.Near(func() (err error) {
		conn, err = net.Dial("tcp", far.Addr().String())
		return err
	}); err != nil {
		return 0, err
	}
	defer conn.Close()
	begin := time.Now()
	n, err := io.Copy(io.Discard, conn)
	if n != size {
		return 0, fmt.Errorf("plain stream: %d bytes of %d, %w", n, size, err)
	}
	return mbit(n, time.Since(begin)), nil
}

func mbit(bytes int64, d time.Duration) float64 { return float64(bytes) * 8 / 1e6 / d.Seconds() }

// result is how long a command took, and its transfer of files by its own
// account, in whole seconds.
type result struct{ whole, transfer time.Duration }

var elapsedText = regexp.MustCompile(`files are (?:transferred|restored).*time elapsed: (?:(\d+)m:)?(\d+)s`)

// gs runs the tool at the near end of the line.
func (b *bench) gs(ctx context.Context, args ...string) (r result, err error) {
	err = b.slow.Near(func() error {
		begin := time.Now()
		cmd := b.account.AsUser(exec.CommandContext(ctx, b.tool, args...))
		out, err := cmd.CombinedOutput()
		if err != nil {
			return fmt.Errorf("run gs_probackup %v: %w\n%s", args, err, out[max(0, len(out)-3000):])
		}
		r.whole = time.Since(begin)
		if m := elapsedText.FindSubmatch(out); m != nil {
			minutes, _ := strconv.Atoi(string(m[1])) // "" is none
			seconds, _ := strconv.Atoi(string(m[2])) // digits
			r.transfer = time.Duration(60*minutes+seconds) * time.Second
		}
		return nil
	})
	return r, err
}

// remote are the options for the far end.
func (b *bench) remote() []string {
	return []string{"--remote-proto=ssh", "--remote-host=" + b.sshd.Host, "--remote-port=" + strconv.Itoa(b.sshd.Port),
		"--remote-user=" + b.account.Name, "--remote-path=" + b.dir, "--ssh-options=-F " + b.sshd.ClientConfig()}
}
