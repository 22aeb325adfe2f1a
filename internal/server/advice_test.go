package server

import (
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	"gsprobackup/internal/usererr"
)

// openGauss says 57P03 (cannot_connect_now) for other things, too.
func TestAdviceForCannotConnectNow(t *testing.T) {
	t.Parallel()
	cases := []struct{ message, want string }{
		{"the database system is starting up", "try again when it is up"},
		{"SSL connection is required by the database system", "TLS"},
		{"the local listen ip and port is not for the gsql client", "-p"},
		{"can not accept connection if hot standby off", "hot_standby"},
	}
	for _, tc := range cases {
		f := newFake(t)
		f.dhe = true
		f.refuse = &pgproto3.ErrorResponse{Severity: "FATAL", Code: "57P03", Message: tc.message}
		_, err := Connect(t.Context(), f.options())
		wantText(t, err, "could not connect to database postgres: FATAL:  "+tc.message+"\n")
		var ue *usererr.Error
		if !errors.As(err, &ue) || !strings.Contains(ue.Hint, tc.want) {
			t.Errorf("%s: hint %q, want %q", tc.message, ue.Hint, tc.want)
		}
	}
}

// Releases before 2.1 offer DHE cipher suites only, unless both sides know TLS
// 1.3. The login goes on without TLS.
func TestNoCommonCipherSuite(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.dhe, f.challenge, f.answer = true, sha256Challenge, gaussProof
	mustConnect(t, f.options())
}
