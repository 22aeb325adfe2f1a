// Package gaussauth computes openGauss' password proofs.
//
// It owns the authentication requests that PostgreSQL clients do not know
// (spec/server.md §1.4): parsing the challenge and computing the answer. It
// knows no connection; internal/server carries the messages.
//
// An authentication request is 'R', int32 length, int32 code and
//
//	code  name        payload
//	 5    md5         4-byte salt
//	10    sha256      int32 stored method, then
//	                    method 1 (MD5):    4-byte md5 salt
//	                    method 2 (SHA256): 64 hex salt, 8 hex token, and
//	                      minor < 50: 64 hex server signature
//	                      minor = 50: nothing
//	                      minor = 51: int32 iteration count
//	11    md5_sha256  64 hex salt, 4-byte md5 salt
//	13    sm3         int32 stored method 3, then as method 2 of code 10
//
// where minor is the minor protocol version the client asked for.
package gaussauth

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
)

// Authentication request codes (spec/server.md §1.4).
const (
	CodeOK        = 0
	CodeMD5       = 5
	CodeSHA256    = 10
	CodeMD5SHA256 = 11
	CodeSM3       = 13
)

// Stored forms of a password, as named inside code 10 and 13.
const (
	storedMD5    = 1
	storedSHA256 = 2
	storedSM3    = 3
)

const (
	// defaultIterations is the server's auth_iteration_count when nobody
	// changed it; requests that do not carry a count rely on it.
	defaultIterations = 10000
	// maxIterations is the largest auth_iteration_count the server accepts.
	// The count comes from the network, before anybody is authenticated.
	maxIterations = 134217728

	saltHex  = 64
	tokenHex = 8
	sigHex   = 64
)

// ErrUnsupported marks an authentication method this program has no proof for.
var ErrUnsupported = errors.New("unsupported authentication method")

// Challenge is one parsed authentication request that wants an answer.
type Challenge struct {
	Code int
	// Method is the stored form of the password for codes 10 and 13.
	Method     int
	Salt       []byte // 32 bytes; codes 10 (method 2), 11, 13
	Token      []byte // 4 bytes; codes 10 (method 2), 13
	MD5Salt    []byte // 4 bytes; codes 5, 10 (method 1), 11
	Iterations int
	// Signature is what the server offers to prove that it knows the
	// password: 32 bytes, only for minor versions below 50.
	Signature []byte
}

// Recognize tells whether the payload of an 'R' message, code included, is
// openGauss' code 10: PostgreSQL puts the name of a SASL mechanism where
// openGauss puts a small integer (spec/server.md §1.6).
func Recognize(payload []byte) bool {
	if len(payload) < 8 || binary.BigEndian.Uint32(payload) != CodeSHA256 {
		return false
	}
	return binary.BigEndian.Uint32(payload[4:]) <= 7
}

// Parse reads the payload of an 'R' message, the int32 code included. minor
// is the minor protocol version of the startup packet: 0, 50 or 51. Codes
// that this package does not know give ErrUnsupported.
func Parse(payload []byte, minor int) (*Challenge, error) {
	r := reader{rest: payload}
	c := &Challenge{Code: r.int32(), Iterations: defaultIterations}
	switch c.Code {
	case CodeMD5:
		c.MD5Salt = r.bytes(4)
	case CodeMD5SHA256:
		c.Salt = r.hex(saltHex)
		c.MD5Salt = r.bytes(4)
	case CodeSHA256, CodeSM3:
		c.Method = r.int32()
		switch {
		case c.Code == CodeSHA256 && c.Method == storedMD5:
			c.MD5Salt = r.bytes(4)
		case c.Code == CodeSHA256 && c.Method == storedSHA256, c.Code == CodeSM3 && c.Method == storedSM3:
			r.proof(c, minor)
		default:
			return nil, fmt.Errorf("authentication request %d, stored method %d: %w", c.Code, c.Method, ErrUnsupported)
		}
	default:
		return nil, fmt.Errorf("authentication request %d: %w", c.Code, ErrUnsupported)
	}
	if r.err == nil && len(r.rest) != 0 {
		r.err = fmt.Errorf("%d bytes too many", len(r.rest))
	}
	if r.err == nil && (c.Iterations < 1 || c.Iterations > maxIterations) {
		r.err = fmt.Errorf("iteration count %d is out of range", c.Iterations)
	}
	if r.err != nil {
		return nil, fmt.Errorf("read authentication request %d: %w", c.Code, r.err)
	}
	return c, nil
}

// reader takes fields from the front of a payload and keeps the first error.
type reader struct {
	rest []byte
	err  error
}

func (r *reader) bytes(n int) []byte {
	if r.err == nil && len(r.rest) < n {
		r.err = errors.New("message is too short")
	}
	if r.err != nil {
		return nil
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return append([]byte(nil), b...)
}

func (r *reader) int32() int {
	b := r.bytes(4)
	if b == nil {
		return -1
	}
	return int(int32(binary.BigEndian.Uint32(b)))
}

func (r *reader) hex(n int) []byte {
	b := r.bytes(n)
	if b == nil {
		return nil
	}
	out := make([]byte, n/2)
	if _, err := hex.Decode(out, b); err != nil && r.err == nil {
		r.err = err
	}
	return out
}

// proof reads what codes 10 and 13 carry after the stored method.
func (r *reader) proof(c *Challenge, minor int) {
	c.Salt = r.hex(saltHex)
	c.Token = r.hex(tokenHex)
	switch {
	case minor < 50:
		c.Signature = r.hex(sigHex)
	case minor > 50:
		c.Iterations = r.int32()
	}
}
