package server

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"gsprobackup/test/pgtest"
)

// selfSigned makes a certificate that no client would trust, as openGauss and
// Debian's PostgreSQL have it.
func selfSigned(t *testing.T) (cert, key []byte) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "nobody"}, NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalECPrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: keyDER})
}

// testPostgresTLS turns TLS on; later tests of the same server use it too.
func testPostgresTLS(t *testing.T, s *pgtest.Server) {
	cert, key := selfSigned(t)
	for name, content := range map[string][]byte{"server.crt": cert, "server.key": key} {
		path := filepath.Join(s.DataDir, name)
		if err := errors.Join(os.WriteFile(path, content, 0o600), s.Own(path)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Server.SQL(t.Context(), "postgres", "alter system set ssl = on"); err != nil {
		t.Fatal(err)
	}
	for on := ""; on != "on"; {
		rows, err := s.Server.SQL(t.Context(), "postgres", "select setting from pg_settings, pg_reload_conf() where name = 'ssl'")
		if err != nil {
			t.Fatal(err)
		}
		on = rows[0][0]
	}
	for _, mode := range []string{"", "prefer", "require", "disable"} {
		for _, password := range []string{pgPassword, ""} {
			t.Run(fmt.Sprintf("mode %q, given %v", mode, password != ""), func(t *testing.T) {
				o := tcpOptions(s, "scram")
				o.Password = password
				o.Env = env(map[string]string{"PGPASSWORD": pgPassword, "PGSSLMODE": mode})
				c := mustConnect(t, o)
				ssl, err := one(c.Query(t.Context(), "select ssl from pg_stat_ssl where pid = pg_backend_pid()"))
				if err != nil {
					t.Fatal(err)
				}
				if want := mode != "disable"; (ssl == "t") != want || c.d.stock != want {
					t.Errorf("ssl = %s, channel binding = %v, want %v", ssl, c.d.stock, want)
				}
				r := mustReplicate(t, c)
				if _, err := r.IdentifySystem(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
	}
	t.Run("wrong password", func(t *testing.T) {
		o := tcpOptions(s, "scram")
		o.Password = "wrong"
		_, err := Connect(t.Context(), o)
		wantText(t, err, "could not connect to database postgres: FATAL:  password authentication failed for user \"scram\"\n")
	})
	t.Run("lost connection", func(t *testing.T) {
		c := mustConnect(t, tcpOptions(s, "trusty"))
		mustSQL(t, s, fmt.Sprintf("select pg_terminate_backend(%d)", c.pg.PID()))
		<-c.Done()
		if sqlState(c.Err()) != "57P01" {
			t.Errorf("reason %v", c.Err())
		}
	})
}
