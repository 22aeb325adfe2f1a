package sshlink

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/skeema/knownhosts"
	"golang.org/x/crypto/ssh"
	xknownhosts "golang.org/x/crypto/ssh/knownhosts"

	"gsprobackup/internal/event"
	"gsprobackup/internal/fsx"
	"gsprobackup/internal/usererr"
)

// hostKeys checks the key of one host against known_hosts files.
type hostKeys struct {
	target *target
	db     *knownhosts.HostKeyDB
	files  []string
	fs     fsx.FS
	events event.Sink
	// verdict is the last refusal, which is lost in the handshake's error.
	verdict error
}

func newHostKeys(fsys fsx.FS, events event.Sink, t *target) (*hostKeys, error) {
	k := &hostKeys{target: t, fs: fsys, events: events}
	for _, path := range slices.Concat(t.userKnown, t.globalKnown) {
		fi, err := fsys.Stat(path)
		if errors.Is(err, fs.ErrNotExist) || err == nil && !fi.Mode().IsRegular() {
			continue // such as /dev/null
		}
		k.files = append(k.files, path)
	}
	db, err := knownhosts.NewDB(k.files...)
	if err != nil {
		return nil, usererr.Wrap(err, "Failed to establish SSH connection: known hosts: %s", err)
	}
	k.db = db
	return k, nil
}

// algorithms lists the kinds of host keys to ask for: those configured, or the
// usual ones; among the latter those come first of which a key is known.
func (k *hostKeys) algorithms() []string {
	if k.target.hostKeys != nil {
		return k.target.hostKeys
	}
	usual, _ := kindHostKey.lists()
	known := k.db.HostKeyAlgorithms(k.target.knownAs)
	if len(known) == 0 {
		known = k.db.HostKeyAlgorithms(k.withoutPort())
	}
	var list []string
	for _, a := range known {
		if slices.Contains(usual, a) {
			list = append(list, a)
		}
	}
	for _, a := range usual {
		if !slices.Contains(list, a) {
			list = append(list, a)
		}
	}
	return list
}

func (k *hostKeys) withoutPort() string {
	host, _, err := net.SplitHostPort(k.target.knownAs)
	if err != nil {
		return k.target.knownAs
	}
	return joinKnown(host, "22")
}

// check is the ssh.HostKeyCallback. Its name argument is ours already.
func (k *hostKeys) check(_ string, remote net.Addr, key ssh.PublicKey) error {
	k.verdict = k.judge(remote, key)
	return k.verdict
}

func (k *hostKeys) judge(remote net.Addr, key ssh.PublicKey) error {
	if err := k.policy(key); err != nil {
		return err
	}
	if tcp, ok := remote.(*net.TCPAddr); !ok || tcp == nil {
		remote = &net.TCPAddr{IP: net.IPv4zero} // through another host; the name is looked up
	}
	err := k.lookUp(remote, key)
	var unknown *xknownhosts.KeyError
	var revoked *xknownhosts.RevokedError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &revoked):
		return k.refuse("the host key is revoked (%s:%d)", revoked.Revoked.Filename, revoked.Revoked.Line)
	case !errors.As(err, &unknown):
		return k.refuse("%s", strings.TrimPrefix(err.Error(), "ssh: ")) // a certificate that is no good
	}
	if other := k.changed(unknown, key); other != nil {
		if k.target.strict == "no" {
			k.events.Emit(HostKeyIgnored{Host: k.target.host, Fingerprint: ssh.FingerprintSHA256(key)})
			return nil
		}
		return k.refuse("the host key HAS CHANGED: it is %s now, %s line %d says %s",
			describe(key), other.Filename, other.Line, describe(other.Key)).WithHint(
			"either the server was set up anew, or somebody is between; ask its administrator, and only then remove the old key with: ssh-keygen -R '%s' -f '%s'",
			xknownhosts.Normalize(k.target.knownAs), other.Filename)
	}
	if k.target.strict == "accept-new" || k.target.strict == "no" {
		return k.learn(key)
	}
	return k.refuse("the host key is unknown (%s)", describe(key)).WithHint(
		"compare it with the server's, and add it by connecting once with ssh; or allow it with --ssh-options='-o StrictHostKeyChecking=accept-new'")
}

// lookUp asks known_hosts about the key. As with ssh, a key or an authority
// noted for the host without its port is good enough, unless there is another
// key with it.
func (k *hostKeys) lookUp(remote net.Addr, key ssh.PublicKey) error {
	callback := k.db.HostKeyCallback()
	err := callback(k.target.knownAs, remote, key)
	var known *xknownhosts.KeyError
	if err == nil || errors.As(err, &known) && len(known.Want) > 0 || k.withoutPort() == k.target.knownAs {
		return err
	}
	if callback(k.withoutPort(), remote, key) == nil {
		return nil
	}
	return err
}

// changed tells the known key of the same kind, which the server no longer
// shows. A key of another kind, or an authority, does not make it changed.
func (k *hostKeys) changed(e *xknownhosts.KeyError, key ssh.PublicKey) *xknownhosts.KnownKey {
	authorities := map[string]bool{}
	for _, known := range k.db.HostKeys(k.target.knownAs) {
		authorities[string(known.Marshal())] = known.Cert
	}
	for i := range e.Want {
		want := &e.Want[i]
		if want.Key.Type() == key.Type() && !authorities[string(want.Key.Marshal())] {
			return want
		}
	}
	return nil
}

// policy applies RequiredRSASize and CASignatureAlgorithms.
func (k *hostKeys) policy(key ssh.PublicKey) error {
	if bits := rsaBits(key); bits > 0 && bits < k.target.minRSA {
		return k.refuse("the host key has %d bits, fewer than RequiredRSASize", bits)
	}
	cert, ok := key.(*ssh.Certificate)
	if ok && k.target.caAlgs != nil && (cert.Signature == nil || !slices.Contains(k.target.caAlgs, cert.Signature.Format)) {
		return k.refuse("the host certificate's signature is not among CASignatureAlgorithms")
	}
	return nil
}

func (k *hostKeys) refuse(format string, args ...any) *usererr.Error {
	return usererr.New("Failed to establish SSH connection: %s: %s", k.target.host, fmt.Sprintf(format, args...))
}

// learn notes the key of an unknown host. That it cannot be noted does not
// stop the connection, as with ssh.
func (k *hostKeys) learn(key ssh.PublicKey) error {
	if cert, ok := key.(*ssh.Certificate); ok {
		key = cert.Key // signed by nobody we know
	}
	added := HostKeyAdded{Host: k.target.host, Fingerprint: ssh.FingerprintSHA256(key)}
	if len(k.target.userKnown) > 0 && k.append(k.target.userKnown[0], key) == nil {
		added.File = k.target.userKnown[0]
	}
	k.events.Emit(added)
	return nil
}

func (k *hostKeys) append(path string, key ssh.PublicKey) error {
	name := xknownhosts.Normalize(k.target.knownAs)
	if k.target.hashKnown {
		name = xknownhosts.HashHostname(name)
	}
	if _, err := k.fs.Stat(filepath.Dir(path)); errors.Is(err, fs.ErrNotExist) {
		if err := k.fs.Mkdir(filepath.Dir(path), 0o700); err != nil {
			return err
		}
	}
	f, err := k.fs.OpenFile(path, os.O_RDWR|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	line := xknownhosts.Line([]string{name}, key) + "\n"
	if k.target.hashKnown { // Line would normalise the hash
		line = name + " " + strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key))) + "\n"
	}
	if fi, err := f.Stat(); err == nil && fi.Mode().IsRegular() && fi.Size() > 0 {
		last := make([]byte, 1)
		if n, _ := f.ReadAt(last, fi.Size()-1); n == 1 && last[0] != '\n' {
			line = "\n" + line
		}
	}
	_, err = f.Write([]byte(line))
	return errors.Join(err, f.Close())
}

func describe(key ssh.PublicKey) string {
	return key.Type() + " " + ssh.FingerprintSHA256(key)
}
