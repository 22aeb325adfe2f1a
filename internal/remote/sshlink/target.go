package sshlink

import "time"

// target is one machine to connect to with the built-in client, and how.
type target struct {
	host     string // as the user wrote it
	hostName string // to resolve
	port     string
	user     string

	knownAs     string // name and port under which its key is known
	strict      string // StrictHostKeyChecking: "yes", "ask", "accept-new" or "no"
	userKnown   []string
	globalKnown []string
	hashKnown   bool // HashKnownHosts

	identities     []string // key files, first to try first
	explicit       bool     // the files were configured, not the usual names
	certificates   []string
	identitiesOnly bool
	agent          string // socket, "" for none

	ciphers, macs, kex, hostKeys []string // nil for the usual ones
	userKeyAlgs, caAlgs          []string
	minRSA                       int // bits

	network     string // tcp, tcp4, tcp6
	bindAddress string
	keepAlive   bool // of TCP
	timeout     time.Duration
	attempts    int
	aliveEvery  time.Duration // 0 for never
	aliveCount  int

	jumps []target // to go through, first hop first
}

// How a connection is watched unless configured: a link that has been silent
// for 20 s is lost.
const (
	defaultAliveEvery = 5 * time.Second
	defaultAliveCount = 3
	// defaultTimeout bounds connecting and logging in.
	defaultTimeout = 20 * time.Second
)

// patience is how long connecting and logging in may take.
func (t *target) patience() time.Duration {
	if t.timeout == 0 {
		return defaultTimeout
	}
	return t.timeout
}

// address is what a person calls the machine.
func (t *target) address() string {
	if t.port == "22" {
		return t.user + "@" + t.host
	}
	return t.user + "@" + t.host + " port " + t.port
}
