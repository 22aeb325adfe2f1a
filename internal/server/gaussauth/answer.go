package gaussauth

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/pbkdf2"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"

	"github.com/emmansun/gmsm/sm3"
)

// refused is the text libpq sends instead of a proof when the server's own
// signature is wrong (sic). The server answers with the usual "login denied",
// and a server that does not know the password learns nothing.
const refused = "sever_signature_failed"

// The labels of the two keys. The first server label really lacks an "r".
const (
	labelClient    = "Client Key"
	labelServer    = "Sever Key"
	labelServerSM3 = "Server Key"
)

// keys are the values of spec/server.md §1.4 derived from a password.
type keys struct {
	client, server, stored []byte
}

// Answer returns the text of the PasswordMessage for c, without its NUL.
func (c *Challenge) Answer(user, password string) (string, error) {
	switch {
	case c.Code == CodeMD5:
		return "md5" + hexMD5(innerMD5(user, password), c.MD5Salt), nil
	case c.Code == CodeSHA256 && c.Method == storedMD5:
		sum := sha256.Sum256(append([]byte(innerMD5(user, password)), c.MD5Salt...))
		return "sha256" + hex.EncodeToString(sum[:]), nil
	}
	k, err := c.derive(password)
	if err != nil {
		return "", err
	}
	if c.Code == CodeMD5SHA256 {
		// The server hashes the stored string with its iteration suffix, so
		// libpq's own answer, without it, never matches (spec/server.md §1.4).
		stored := hex.EncodeToString(c.Salt) + hex.EncodeToString(k.server) +
			hex.EncodeToString(k.stored) + iterationSuffix(c.Iterations)
		return "md5" + hexMD5(stored, c.MD5Salt), nil
	}
	if c.Signature != nil && subtle.ConstantTimeCompare(c.Signature, mac(k.server, c.Token)) != 1 {
		return refused, nil
	}
	proof := make([]byte, sha256.Size)
	subtle.XORBytes(proof, mac(k.stored, c.Token), k.client)
	return hex.EncodeToString(proof), nil
}

// derive computes the keys of c for a password.
func (c *Challenge) derive(password string) (keys, error) {
	salted, err := pbkdf2.Key(sha1.New, password, c.Salt, c.Iterations, sha256.Size)
	if err != nil {
		return keys{}, fmt.Errorf("derive key from password: %w", err)
	}
	k := keys{client: mac(salted, []byte(labelClient))}
	if c.Code == CodeSM3 {
		k.server = mac(salted, []byte(labelServerSM3))
		stored := sm3.Sum(k.client)
		k.stored = stored[:]
		return k, nil
	}
	k.server = mac(salted, []byte(labelServer))
	stored := sha256.Sum256(k.client)
	k.stored = stored[:]
	return k, nil
}

// iterationSuffix is the iteration count as it ends a stored password:
// decimal digit i, least significant first, is added to character i of a
// fixed word. 10000 gives "ecdfecefade".
func iterationSuffix(n int) string {
	word := []byte("ecdfdcefade")
	for i := 0; i < len(word) && n > 0; i, n = i+1, n/10 {
		word[i] += byte(n % 10)
	}
	return string(word)
}

func mac(key, data []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write(data)
	return h.Sum(nil)
}

// innerMD5 is PostgreSQL's stored form of an MD5 password without its prefix.
func innerMD5(user, password string) string {
	sum := md5.Sum([]byte(password + user))
	return hex.EncodeToString(sum[:])
}

func hexMD5(s string, salt []byte) string {
	sum := md5.Sum(append([]byte(s), salt...))
	return hex.EncodeToString(sum[:])
}
