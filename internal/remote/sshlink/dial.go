package sshlink

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/crypto/ssh"

	"gsprobackup/internal/usererr"
)

// watchedConn notes what comes in.
type watchedConn struct {
	net.Conn
	reads atomic.Int64 // successful calls of Read
	mu    sync.Mutex
	first []byte // of what the server said
}

func (c *watchedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 && c.reads.Add(1) < 8 {
		c.mu.Lock()
		if room := 256 - len(c.first); room > 0 {
			c.first = append(c.first, p[:min(n, room)]...)
		}
		c.mu.Unlock()
	}
	return n, err
}

// greeting is what the server said before its version, and whether there was
// a version at all.
func (c *watchedConn) greeting() (text string, complete bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	before, _, complete := bytes.Cut(c.first, []byte("SSH-"))
	return strings.TrimSpace(string(before)), complete
}

// dialed is a connection that is logged in.
type dialed struct {
	client *ssh.Client
	conn   *watchedConn
	hops   []*ssh.Client // gone through, first to last
}

func (d *dialed) Close() {
	if d.client != nil {
		_ = d.client.Close()
	}
	for i := len(d.hops) - 1; i >= 0; i-- {
		_ = d.hops[i].Close() // nothing waits for them any more
	}
}

// errBusy is inside the error for a server that dropped the connection before
// it said anything, as sshd does with too many of them (MaxStartups).
var errBusy = errors.New("dropped by the server")

// dial connects and logs in, through other hosts if so configured.
func (b *builtin) dial(ctx context.Context) (*dialed, error) {
	d := &dialed{}
	for _, t := range append(b.target.jumps[:len(b.target.jumps):len(b.target.jumps)], b.target) {
		if d.client != nil {
			d.hops = append(d.hops, d.client)
			d.client = nil
		}
		if err := b.hop(ctx, d, &t); err != nil {
			d.Close()
			return nil, err
		}
	}
	return d, nil
}

// hop makes the connection to t, through the hops that d already has.
func (b *builtin) hop(ctx context.Context, d *dialed, t *target) error {
	ctx, cancel := context.WithTimeoutCause(ctx, t.patience(), fmt.Errorf("no answer within %v", t.patience()))
	defer cancel()
	conn, err := t.connect(ctx, d.hops)
	if err != nil {
		return connectError(ctx, t, err)
	}
	watched := &watchedConn{Conn: conn}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	client, err := b.login(watched, t)
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		_ = conn.Close()
		return connectError(ctx, t, err)
	}
	d.client, d.conn = client, watched
	return nil
}

// connect opens the stream that ssh speaks over.
func (t *target) connect(ctx context.Context, hops []*ssh.Client) (net.Conn, error) {
	address := net.JoinHostPort(t.hostName, t.port)
	if len(hops) > 0 {
		return hops[len(hops)-1].DialContext(ctx, "tcp", address)
	}
	dialer := net.Dialer{KeepAlive: -1}
	if t.keepAlive {
		dialer.KeepAlive = 15 * time.Second
	}
	if t.bindAddress != "" {
		local, err := net.ResolveTCPAddr(t.network, net.JoinHostPort(t.bindAddress, "0"))
		if err != nil {
			return nil, fmt.Errorf("BindAddress: %w", err)
		}
		dialer.LocalAddr = local
	}
	var conn net.Conn
	var err error
	for try := 0; try < t.attempts; try++ {
		if try > 0 && pause(ctx, time.Second) != nil {
			break
		}
		if conn, err = dialer.DialContext(ctx, t.network, address); err == nil {
			return conn, nil
		}
	}
	return nil, err
}

// pause waits, or returns the cause of ctx's end.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// login does the handshake over conn.
func (b *builtin) login(conn *watchedConn, t *target) (*ssh.Client, error) {
	known, err := newHostKeys(b.opts.FS, b.opts.Events, t)
	if err != nil {
		return nil, err
	}
	keys := loadKeys(b.opts.FS, b.opts.Local.UID, t)
	defer keys.Close()
	config := &ssh.ClientConfig{
		Config:            ssh.Config{Ciphers: t.ciphers, MACs: t.macs, KeyExchanges: t.kex},
		User:              t.user,
		HostKeyCallback:   known.check,
		HostKeyAlgorithms: known.algorithms(),
		ClientVersion:     "SSH-2.0-gs_probackup",
	}
	offered := false
	if len(keys.signers) > 0 {
		config.Auth = []ssh.AuthMethod{ssh.PublicKeysCallback(func() ([]ssh.Signer, error) {
			offered = true
			return keys.signers, nil
		})}
	}
	c, channels, requests, err := ssh.NewClientConn(conn, t.knownAs, config)
	if err == nil {
		return ssh.NewClient(c, channels, requests), nil
	}
	if known.verdict != nil {
		return nil, known.verdict
	}
	if text, complete := conn.greeting(); !complete && dropped(err) {
		return nil, fmt.Errorf("%w before its version%s", errBusy, said(text))
	}
	if strings.Contains(err.Error(), "unable to authenticate") || dropped(err) && offered {
		return nil, deniedError(t, keys, offered)
	}
	return nil, err
}

func said(text string) string {
	if text == "" {
		return ""
	}
	return fmt.Sprintf(" (it said %q)", text)
}

// dropped tells errors that mean "the other side hung up".
func dropped(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) ||
		strings.HasSuffix(err.Error(), ": EOF")
}

// deniedError tells that no key was good enough, and what was tried.
func deniedError(t *target, keys *keyring, offered bool) error {
	tried := "no key to log in with was found"
	if offered {
		var names []string
		for _, s := range keys.signers {
			names = append(names, s.PublicKey().Type()+" "+ssh.FingerprintSHA256(s.PublicKey()))
		}
		tried = "the server accepts none of the keys " + strings.Join(names, ", ")
	}
	if len(keys.notes) > 0 {
		tried += " (not used: " + strings.Join(keys.notes, "; ") + ")"
	}
	return usererr.New("Failed to establish SSH connection: %s: Permission denied (publickey): %s", t.address(), tried).WithHint(
		"let the server accept a key with: ssh-copy-id -p %s '%s@%s'; passwords are not asked for", t.port, t.user, t.hostName)
}

// connectError words what kept a connection from being made.
func connectError(ctx context.Context, t *target, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	var ours *usererr.Error
	if errors.As(err, &ours) {
		return err
	}
	e := usererr.Wrap(err, "Failed to establish SSH connection: %s: %s", t.address(), plain(err))
	var dns *net.DNSError
	switch {
	case errors.Is(err, errBusy):
		return e.WithHint("sshd drops connections while too many are logging in (MaxStartups), or is not ready")
	case errors.Is(err, syscall.ECONNREFUSED):
		return e.WithHint("is sshd running there, on port %s?", t.port)
	case strings.Contains(err.Error(), "Too many authentication failures"):
		return e.WithHint("it was offered more keys than it hears (MaxAuthTries); name the one with --ssh-options='-i FILE -o IdentitiesOnly=yes'")
	case errors.As(err, &dns):
		return e.WithHint("check --remote-host")
	}
	return e
}

// plain is an error without the packages' prefixes.
func plain(err error) string {
	text := err.Error()
	var op *net.OpError
	var call *os.SyscallError
	switch {
	case errors.As(err, &call):
		text = usererr.SystemText(call.Err)
	case errors.As(err, &op) && op.Err != nil:
		text = op.Err.Error()
	}
	text = strings.TrimPrefix(text, "ssh: handshake failed: ")
	return strings.TrimPrefix(text, "ssh: ")
}
