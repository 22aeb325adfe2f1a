package gaussauth

import (
	"bytes"
	_ "embed"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

//go:embed testdata/logins.txt
var logins string

// TestRecordedLogins answers what a real server asked and compares with what
// the C clients sent.
func TestRecordedLogins(t *testing.T) {
	n := 0
	for line := range strings.Lines(logins) {
		f := strings.Fields(line)
		if len(f) != 6 || f[0] == "#" {
			continue
		}
		n++
		t.Run(f[0], func(t *testing.T) {
			minor, err := strconv.Atoi(f[1])
			if err != nil {
				t.Fatal(err)
			}
			c, err := Parse(unhex(t, f[4]), minor)
			if err != nil {
				t.Fatal(err)
			}
			got, err := c.Answer(f[2], f[3])
			if err != nil {
				t.Fatal(err)
			}
			if got != f[5] {
				t.Errorf("answer = %s, C sent %s", got, f[5])
			}
		})
	}
	if n < 15 {
		t.Fatalf("only %d logins in testdata", n)
	}
}

// The test vector of spec/server.md §1.4.
const (
	user     = "rep1"
	password = "Gauss@123"
	saltText = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
)

func be32(v uint32) []byte { return binary.BigEndian.AppendUint32(nil, v) }

func TestAnswersOfTheSpecification(t *testing.T) {
	md5Salt := []byte{0xa1, 0xb2, 0xc3, 0xd4}
	signature := "58a0507fed937360de9b43f55a72f6e9508ecd13255a8441af02a9ca691de210"
	proof := "9b5a237a61ea01356f780059f012a52901bec8a55ba04b9a8d135cfc228d1699"
	sm3Proof := "ba0515cc97ebf9a5541af112b96a378caf279e9ae831ffc2139d41722e6e26fe"
	cases := []struct {
		name    string
		minor   int
		payload []byte
		want    string
	}{
		{"code 5", 51, join(be32(5), md5Salt), "md5a69ff9b9a48bd23a66217377e8ca7d3f"},
		{"code 10 method 1", 51, join(be32(10), be32(1), md5Salt), "sha256de5455b3105a8ca98f6eb43591b99e27991f5f45e6c95bcca6e0feab8249f78a"},
		{"code 10 minor 51", 51, join(be32(10), be32(2), []byte(saltText+"01020304"), be32(10000)), proof},
		{"code 10 minor 50", 50, join(be32(10), be32(2), []byte(saltText+"01020304")), proof},
		{"code 10 minor 0", 0, join(be32(10), be32(2), []byte(saltText+"01020304"+signature)), proof},
		{"code 10 minor 0, wrong server", 0, join(be32(10), be32(2), []byte(saltText+"01020304"+strings.Repeat("0", 64))), "sever_signature_failed"},
		{"code 11", 51, join(be32(11), []byte(saltText), md5Salt), "md5a785feb07a9d3f2232b7a40872ef6d67"},
		{"code 13 minor 51", 51, join(be32(13), be32(3), []byte(saltText+"01020304"), be32(10000)), sm3Proof},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			c, err := Parse(tc.payload, tc.minor)
			if err != nil {
				t.Fatal(err)
			}
			got, err := c.Answer(user, password)
			if err != nil {
				t.Fatal(err)
			}
			if got != tc.want {
				t.Errorf("answer = %s, want %s", got, tc.want)
			}
		})
	}
}

func TestKeysOfTheSpecification(t *testing.T) {
	salt := unhex(t, saltText)
	token := []byte{1, 2, 3, 4}
	c := &Challenge{Code: CodeSHA256, Method: 2, Salt: salt, Token: token, Iterations: 10000}
	k, err := c.derive(password)
	if err != nil {
		t.Fatal(err)
	}
	check := func(name string, got []byte, want string) {
		t.Helper()
		if hex.EncodeToString(got) != want {
			t.Errorf("%s = %x, want %s", name, got, want)
		}
	}
	check("ServerKey", k.server, "26d976e7f54be9bb8bf07489293608a9ed6a1ded403752576b9ecc392a7dfe94")
	check("ClientKey", k.client, "6dbdaa3a3e5c6f0bc5531bfcbc73721115a9265f934792a1045d91757987ff35")
	check("StoredKey", k.stored, "7ab984e373c6c243a83e0ca396a78af6e9a1d95cf49ee1ff14b48de8f96a84b2")
	check("ClientSig", mac(k.stored, token), "f6e789405fb66e3eaa2b1ba54c61d7381417eefac8e7d93b894ecd895b0ae9ac")
	c.Code, c.Method = CodeSM3, 3
	if k, err = c.derive(password); err != nil {
		t.Fatal(err)
	}
	check("SM3 ServerKey", k.server, "7f5e9ee2520a3e61837c82513770d6e84ead8bc87161535b89f444cbf78dc671")
	check("SM3 StoredKey", k.stored, "c526784f7fede3deaf42b309d180f1e144e5b39fc3ca8e07fd6473e367dafeaf")
	check("SM3 ClientSig", mac(k.stored, token), "d7b8bff6a9b796ae9149eaee0519459dba8eb8c57b766d6317c0d00757e9d9cb")
}

// TestSM3ServerSignature: with minor 0 the SM3 server signs with the label
// that is spelled right (spec/server.md §1.4).
func TestSM3ServerSignature(t *testing.T) {
	serverKey := unhex(t, "7f5e9ee2520a3e61837c82513770d6e84ead8bc87161535b89f444cbf78dc671")
	sig := hex.EncodeToString(mac(serverKey, []byte{1, 2, 3, 4}))
	c, err := Parse(join(be32(13), be32(3), []byte(saltText+"01020304"+sig)), 0)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := c.Answer(user, password); err != nil || got == refused {
		t.Errorf("answer = %q, %v: signature not accepted", got, err)
	}
}

func TestIterationSuffix(t *testing.T) {
	for n, want := range map[int]string{0: "ecdfdcefade", 10000: "ecdfecefade", 2048: "mgdhdcefade"} {
		if got := iterationSuffix(n); got != want {
			t.Errorf("suffix of %d = %s, want %s", n, got, want)
		}
	}
}

func TestParseRejects(t *testing.T) {
	salt := []byte(saltText + "01020304")
	cases := []struct {
		name        string
		minor       int
		payload     []byte
		unsupported bool
	}{
		{"empty", 51, nil, true},
		{"RFC 5802", 51, join(be32(12), be32(2)), true},
		{"IAM", 51, be32(14), true},
		{"stored method of an SM3 user", 51, join(be32(10), be32(3), salt, be32(1)), true},
		{"cut salt", 51, join(be32(10), be32(2), salt[:20]), false},
		{"salt not hex", 51, join(be32(10), be32(2), bytes.Repeat([]byte{'x'}, 72), be32(1)), false},
		{"no iteration count", 51, join(be32(10), be32(2), salt), false},
		{"zero iterations", 51, join(be32(10), be32(2), salt, be32(0)), false},
		{"endless iterations", 51, join(be32(10), be32(2), salt, be32(0x7fffffff)), false},
		{"trailing bytes", 50, join(be32(10), be32(2), salt, []byte{0}), false},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			_, err := Parse(tc.payload, tc.minor)
			if err == nil {
				t.Fatal("accepted")
			}
			if errors.Is(err, ErrUnsupported) != tc.unsupported {
				t.Errorf("error %v: unsupported = %v", err, !tc.unsupported)
			}
		})
	}
}

func TestRecognize(t *testing.T) {
	if !Recognize(join(be32(10), be32(2), []byte(saltText))) {
		t.Error("openGauss code 10 not recognized")
	}
	if Recognize(join(be32(10), []byte("SCRAM-SHA-256\x00\x00"))) {
		t.Error("PostgreSQL's SASL request taken for openGauss")
	}
	if Recognize(be32(0)) {
		t.Error("AuthenticationOk taken for openGauss")
	}
}

// TestServerAcceptsProof plays the server: for any password and salt it can
// get ClientKey back from the proof and finds its StoredKey.
func TestServerAcceptsProof(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := &Challenge{
			Code:       rapid.SampledFrom([]int{CodeSHA256, CodeSM3}).Draw(t, "code"),
			Salt:       rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "salt"),
			Token:      rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "token"),
			Iterations: rapid.IntRange(1, 50).Draw(t, "iterations"),
		}
		pw := rapid.String().Draw(t, "password")
		answer, err := c.Answer("u", pw)
		if err != nil {
			t.Fatal(err)
		}
		proof, err := hex.DecodeString(answer)
		if err != nil {
			t.Fatal(err)
		}
		k, err := c.derive(pw)
		if err != nil {
			t.Fatal(err)
		}
		sig := mac(k.stored, c.Token)
		for i := range proof {
			proof[i] ^= sig[i]
		}
		if !bytes.Equal(proof, k.client) {
			t.Fatal("proof does not give ClientKey back")
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add(join(be32(10), be32(2), []byte(saltText+"01020304"), be32(10000)), 51)
	f.Add(join(be32(10), be32(1), []byte{1, 2, 3, 4}), 0)
	f.Add(join(be32(11), []byte(saltText), []byte{1, 2, 3, 4}), 51)
	f.Add(join(be32(13), be32(3), []byte(saltText+"01020304")), 50)
	f.Fuzz(func(t *testing.T, payload []byte, minor int) {
		c, err := Parse(payload, minor)
		if err != nil {
			return
		}
		if c.Iterations > 1000 {
			c.Iterations = 1000 // the arithmetic is not what is fuzzed here
		}
		if _, err := c.Answer("u", "p"); err != nil {
			t.Errorf("accepted challenge has no answer: %v", err)
		}
	})
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
