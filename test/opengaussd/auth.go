package opengaussd

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"strings"

	"github.com/emmansun/gmsm/sm3"
)

// defaultIterations is auth_iteration_count.
const defaultIterations = 10000

// denied is recorded (golden a_sha256_wrongpw_gsql_main_01).
func denied() *Error {
	return &Error{Severity: "FATAL", State: "28P01", Message: "Invalid username/password,login denied."}
}

func locked() *Error {
	return &Error{Severity: "FATAL", State: "28000", Message: "The account has been locked."}
}

// authenticate asks for the password as the user's hba line and stored
// password want it. An error that is no *Error means that the client hung up.
func (s *Server) authenticate(w *wire, c *client) (*User, error) {
	name := c.params["user"]
	user, known := s.cfg.Users[name]
	if !known {
		// Unknown users get a challenge too (server.md §1.4).
		user = User{Password: "\x00", Iterations: defaultIterations}
	}
	switch {
	case user.Method == HBAReject:
		return nil, &Error{Severity: "FATAL", State: "28000", Message: `pg_hba.conf rejects connection for host "127.0.0.1", user "` +
			name + `", database "` + c.params["database"] + `", SSL off`}
	case user.Method == HBATrust, c.replication && !s.cfg.HAPassword:
		// Walsenders of the server's own host are node internal: trust,
		// whatever the hba line says (server.md §1.2).
		return &user, nil
	}
	// "without a challenge for wrong attempts" (server.md §1.2): only the next
	// wrong attempt can tell, so a locked account is told at once.
	if s.isLocked(name) {
		return nil, locked()
	}
	ch := newChallenge(user, c.minor)
	if err := w.send('R', ch.payload); err != nil {
		return nil, err
	}
	kind, body, err := w.message()
	if err != nil {
		return nil, err
	}
	answer := strings.TrimSuffix(string(body), "\x00")
	if kind != 'p' || !known || !ch.accepts(name, user.Password, answer) {
		s.miss(name)
		return nil, denied()
	}
	s.mu.Lock()
	delete(s.misses, name)
	s.mu.Unlock()
	return &user, nil
}

func (s *Server) isLocked(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.misses[name] >= s.cfg.FailedLoginAttempts
}

func (s *Server) miss(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.misses[name]++
}

// Lock locks an account as too many wrong passwords do.
func (s *Server) Lock(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.misses[name] = s.cfg.FailedLoginAttempts
}

// challenge is one authentication request and how to check its answer.
type challenge struct {
	code       int
	stored     Stored
	salt       []byte // 32
	token      []byte // 4
	md5Salt    []byte // 4
	iterations int
	hopeless   bool // made-up data, no answer is right
	payload    []byte
}

// choose is the table of server.md §1.4: hba method × stored form.
func choose(m Method, st Stored, minor int) (code int, hopeless bool) {
	switch {
	case m == HBASM3:
		return 13, st != StoredSM3
	case st == StoredSM3:
		return 13, true
	case st == StoredMD5:
		return 5, false
	case m == HBAMD5 && st == StoredCombined:
		return 5, false
	case m == HBAMD5:
		return 11, false
	case st == StoredCombined && minor < 50:
		return 5, false
	}
	return 10, false
}

func newChallenge(u User, minor int) *challenge {
	ch := &challenge{stored: u.Stored, iterations: u.Iterations, salt: randomBytes(32), token: randomBytes(4), md5Salt: randomBytes(4)}
	if ch.iterations == 0 {
		ch.iterations = defaultIterations
	}
	ch.code, ch.hopeless = choose(u.Method, u.Stored, minor)
	b := binary.BigEndian.AppendUint32(nil, uint32(ch.code))
	switch ch.code {
	case 5:
		b = append(b, ch.md5Salt...)
	case 11:
		b = append(b, hex.EncodeToString(ch.salt)...)
		b = append(b, ch.md5Salt...)
	case 10, 13:
		method := uint32(2)
		if ch.code == 13 {
			method = 3
		}
		b = binary.BigEndian.AppendUint32(b, method)
		b = append(b, hex.EncodeToString(ch.salt)...)
		b = append(b, hex.EncodeToString(ch.token)...)
		switch {
		case minor < 50:
			serverKey, _ := ch.keys(u.Password)
			b = append(b, hex.EncodeToString(mac(serverKey, ch.token))...)
		case minor > 50:
			b = binary.BigEndian.AppendUint32(b, uint32(ch.iterations))
		}
	}
	ch.payload = b
	return ch
}

// keys are what the server stores: ServerKey and StoredKey.
func (ch *challenge) keys(password string) (serverKey, storedKey []byte) {
	k, err := pbkdf2.Key(sha1.New, password, ch.salt, ch.iterations, 32)
	if err != nil {
		return nil, nil // no answer fits
	}
	client := mac(k, []byte("Client Key"))
	if ch.code == 13 {
		sum := sm3.Sum(client)
		return mac(k, []byte("Server Key")), sum[:]
	}
	sum := sha256.Sum256(client)
	return mac(k, []byte("Sever Key")), sum[:] // the label lacks an r
}

// accepts checks an answer the way the server does: from a proof it gets the
// client key back and compares its hash with the stored one.
func (ch *challenge) accepts(user, password, answer string) bool {
	if ch.hopeless {
		return false
	}
	switch ch.code {
	case 5:
		return answer == "md5"+md5Hex(md5Hex(password+user)+string(ch.md5Salt))
	case 11:
		serverKey, storedKey := ch.keys(password)
		stored := hex.EncodeToString(ch.salt) + hex.EncodeToString(serverKey) + hex.EncodeToString(storedKey) + suffix(ch.iterations)
		return answer == "md5"+md5Hex(stored+string(ch.md5Salt))
	}
	proof, err := hex.DecodeString(answer)
	if err != nil || len(proof) != 32 || answer != strings.ToLower(answer) {
		return false
	}
	_, storedKey := ch.keys(password)
	for i, b := range mac(storedKey, ch.token) {
		proof[i] ^= b
	}
	if ch.code == 13 {
		sum := sm3.Sum(proof)
		return hmac.Equal(sum[:], storedKey)
	}
	sum := sha256.Sum256(proof)
	return hmac.Equal(sum[:], storedKey)
}

// suffix is the iteration count at the end of a stored password.
func suffix(n int) string {
	b := []byte("ecdfdcefade")
	for i := 0; n > 0 && i < len(b); i++ {
		b[i] += byte(n % 10)
		n /= 10
	}
	return string(b)
}

func mac(key, data []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write(data)
	return h.Sum(nil)
}

func md5Hex(s string) string {
	sum := md5.Sum([]byte(s))
	return hex.EncodeToString(sum[:])
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return b
}
