package sshserver

import (
	"net"
	"sync"
	"sync/atomic"
)

// Proxy is a line to a server that can be cut.
type Proxy struct {
	Port   int
	listen net.Listener
	target string
	passed atomic.Int64 // bytes, both directions

	mu     sync.Mutex
	conns  []net.Conn
	at     int64 // passed bytes at which to call do, 0 for never
	do     func()
	silent bool
	refuse bool
}

// NewProxy listens on a free loopback port.
func NewProxy(target string) (*Proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &Proxy{Port: l.Addr().(*net.TCPAddr).Port, listen: l, target: target}
	go p.accept()
	return p, nil
}

func (p *Proxy) accept() {
	for {
		near, err := p.listen.Accept()
		if err != nil {
			return // closed
		}
		far, err := net.Dial("tcp", p.target)
		p.mu.Lock()
		if err != nil || p.refuse {
			_ = near.Close()
			if far != nil {
				_ = far.Close()
			}
			p.mu.Unlock()
			continue
		}
		p.conns = append(p.conns, near, far)
		p.mu.Unlock()
		go p.pump(near, far)
		go p.pump(far, near)
	}
}

func (p *Proxy) pump(to, from net.Conn) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 && p.pass(int64(n)) {
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			p.mu.Lock()
			silent := p.silent
			p.mu.Unlock()
			if !silent {
				_ = to.(*net.TCPConn).CloseWrite()
			}
			return
		}
	}
}

// pass counts, does what is due, and tells whether bytes still get through.
func (p *Proxy) pass(n int64) bool {
	passed := p.passed.Add(n)
	p.mu.Lock()
	do := p.do
	if p.at == 0 || passed < p.at {
		do = nil
	} else {
		p.at, p.do = 0, nil
	}
	p.mu.Unlock()
	if do != nil {
		do()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.silent
}

// Passed is the number of bytes that went through so far.
func (p *Proxy) Passed() int64 { return p.passed.Load() }

// At calls do once so many bytes more have gone through, before the rest does.
func (p *Proxy) At(bytes int64, do func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.at, p.do = p.passed.Load()+max(bytes, 1), do
}

// Cut breaks every connection: both ends see a reset.
func (p *Proxy) Cut() {
	p.mu.Lock()
	conns := p.conns
	p.conns = nil
	p.mu.Unlock()
	for _, c := range conns {
		_ = c.(*net.TCPConn).SetLinger(0)
		_ = c.Close()
	}
}

// Refuse makes new connections end at once, or not.
func (p *Proxy) Refuse(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuse = on
}

// Silence lets nothing through any more without telling either end, as a
// pulled cable does.
func (p *Proxy) Silence(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.silent = on
}

// Close ends the proxy and its connections.
func (p *Proxy) Close() {
	_ = p.listen.Close()
	p.Cut()
}
