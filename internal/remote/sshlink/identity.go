package sshlink

import (
	"bytes"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/crypto/ssh"
	sshagent "golang.org/x/crypto/ssh/agent"

	"gsprobackup/internal/fsx"
)

const (
	maxKeyFile   = 1 << 20 // bytes
	agentTimeout = defaultTimeout
)

func uidText(uid int) string { return strconv.Itoa(uid) }

// keyring are the keys to log in with, in the order to try them, and why
// others are not among them.
type keyring struct {
	signers []ssh.Signer
	notes   []string
	agent   io.Closer
}

func (k *keyring) Close() {
	if k.agent != nil {
		_ = k.agent.Close() // nothing was written that could be lost
	}
}

func (k *keyring) note(format string, args ...any) {
	k.notes = append(k.notes, fmt.Sprintf(format, args...))
}

// identity is a configured key file.
type identity struct {
	path   string
	public ssh.PublicKey // nil when not known
	signer ssh.Signer    // nil when the private key cannot be used
	reason string        // why not
}

// loadKeys collects keys as ssh does: those of the agent that are also
// configured, then the agent's others (not with IdentitiesOnly), then those
// that only files have.
func loadKeys(fsys fsx.FS, uid int, t *target) *keyring {
	k := &keyring{}
	var files []identity
	for _, path := range t.identities {
		id, found := readIdentity(fsys, uid, path)
		if found {
			files = append(files, id)
		} else if t.explicit {
			k.note("%s: no such key", path)
		}
	}
	fromAgent := k.askAgent(t.agent)
	var ordered []ssh.Signer
	for _, id := range files {
		i := slices.IndexFunc(fromAgent, func(s ssh.Signer) bool { return sameKey(s.PublicKey(), id.public) })
		if i >= 0 {
			ordered = append(ordered, fromAgent[i])
			fromAgent = slices.Delete(fromAgent, i, i+1)
		}
	}
	if !t.identitiesOnly {
		ordered = append(ordered, fromAgent...)
	}
	for _, id := range files {
		switch {
		case slices.ContainsFunc(ordered, func(s ssh.Signer) bool { return sameKey(s.PublicKey(), id.public) }):
		case id.signer == nil:
			k.note("%s: %s", id.path, id.reason)
		default:
			ordered = append(ordered, id.signer)
		}
	}
	certificates := readCertificates(fsys, t)
	for _, s := range ordered {
		for _, cert := range certificates {
			if sameKey(cert.Key, s.PublicKey()) {
				if with, err := ssh.NewCertSigner(cert, s); err == nil {
					k.add(t, with)
				}
			}
		}
		k.add(t, s)
	}
	return k
}

// add takes a key unless a policy of ssh_config forbids it.
func (k *keyring) add(t *target, s ssh.Signer) {
	name := s.PublicKey().Type() + " " + ssh.FingerprintSHA256(s.PublicKey())
	if bits := rsaBits(s.PublicKey()); bits > 0 && bits < t.minRSA {
		k.note("%s: %d bits are fewer than RequiredRSASize", name, bits)
		return
	}
	if t.userKeyAlgs != nil {
		restricted, ok := restrict(s, t.userKeyAlgs)
		if !ok {
			k.note("%s: not among PubkeyAcceptedAlgorithms", name)
			return
		}
		s = restricted
	}
	k.signers = append(k.signers, s)
}

// restrict leaves a signer only the algorithms that are allowed.
func restrict(s ssh.Signer, allowed []string) (ssh.Signer, bool) {
	algorithm, many := s.(ssh.AlgorithmSigner)
	if rsaBits(s.PublicKey()) == 0 || !many {
		return s, slices.Contains(allowed, s.PublicKey().Type())
	}
	suffix := ""
	if _, isCert := s.PublicKey().(*ssh.Certificate); isCert {
		suffix = "-cert-v01@openssh.com"
	}
	var list []string
	for _, a := range []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256, ssh.KeyAlgoRSA} {
		if slices.Contains(allowed, a+suffix) {
			list = append(list, a)
		}
	}
	restricted, err := ssh.NewSignerWithAlgorithms(algorithm, list)
	return restricted, err == nil && len(list) > 0
}

func rsaBits(key ssh.PublicKey) int {
	if cert, ok := key.(*ssh.Certificate); ok {
		key = cert.Key
	}
	crypto, ok := key.(ssh.CryptoPublicKey)
	if !ok {
		return 0
	}
	if k, ok := crypto.CryptoPublicKey().(*rsa.PublicKey); ok {
		return k.N.BitLen()
	}
	return 0
}

func sameKey(a, b ssh.PublicKey) bool {
	return a != nil && b != nil && bytes.Equal(a.Marshal(), b.Marshal())
}

func (k *keyring) askAgent(socket string) []ssh.Signer {
	if socket == "" {
		return nil
	}
	conn, err := net.DialTimeout("unix", socket, agentTimeout)
	if err != nil {
		k.note("ssh-agent: %s", plain(err))
		return nil
	}
	k.agent = conn
	// It may ask its user before it signs; the connection's own time-out
	// does not reach there.
	_ = conn.SetDeadline(time.Now().Add(agentTimeout)) // a socket has deadlines
	signers, err := sshagent.NewClient(conn).Signers()
	if err != nil {
		k.note("ssh-agent: %v", err)
	}
	return signers
}

// readIdentity reads a key file and, for keys that cannot be used without the
// agent, its public half.
func readIdentity(fsys fsx.FS, uid int, path string) (identity, bool) {
	id := identity{path: path}
	if b, err := fsx.ReadFile(fsys, path+".pub", maxKeyFile); err == nil {
		id.public, _, _, _, _ = ssh.ParseAuthorizedKey(b) // nil if it is none
	}
	b, err := fsx.ReadFile(fsys, path, maxKeyFile)
	if err != nil {
		id.reason = plain(err)
		return id, id.public != nil || !errors.Is(err, fs.ErrNotExist)
	}
	if public, _, _, _, err := ssh.ParseAuthorizedKey(b); err == nil {
		id.public, id.reason = public, "holds the public key only, and ssh-agent does not have the private one"
		return id, true
	}
	if fi, err := fsys.Stat(path); err == nil && tooOpen(fi, uid) {
		id.reason = fmt.Sprintf("others may read it (mode %04o), so it is not used", fi.Mode().Perm())
		return id, true
	}
	signer, err := ssh.ParsePrivateKey(b)
	var locked *ssh.PassphraseMissingError
	switch {
	case errors.As(err, &locked):
		id.reason = "protected by a passphrase; add it to ssh-agent with ssh-add"
		if locked.PublicKey != nil {
			id.public = locked.PublicKey
		}
	case err != nil:
		id.reason = strings.TrimPrefix(err.Error(), "ssh: ")
	default:
		id.signer, id.public = signer, signer.PublicKey()
	}
	return id, true
}

// tooOpen is ssh's rule for private keys.
func tooOpen(fi fs.FileInfo, uid int) bool {
	st, ok := fi.Sys().(*syscall.Stat_t)
	return ok && int(st.Uid) == uid && fi.Mode().Perm()&0o077 != 0
}

// readCertificates reads CertificateFile and the certificates beside keys.
func readCertificates(fsys fsx.FS, t *target) []*ssh.Certificate {
	paths := slices.Clone(t.certificates)
	for _, path := range t.identities {
		paths = append(paths, path+"-cert.pub")
	}
	var certificates []*ssh.Certificate
	for _, path := range paths {
		b, err := fsx.ReadFile(fsys, path, maxKeyFile)
		if err != nil {
			continue
		}
		key, _, _, _, err := ssh.ParseAuthorizedKey(b)
		if cert, ok := key.(*ssh.Certificate); err == nil && ok {
			certificates = append(certificates, cert)
		}
	}
	return certificates
}
