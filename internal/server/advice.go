package server

import (
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"gsprobackup/internal/pgdata"
)

// SQLSTATEs that call for a step of the user's (errcodes.txt of both families).
const (
	stateInvalidPassword = "28P01"
	stateInvalidAuth     = "28000"
	stateNoDatabase      = "3D000"
	stateTooMany         = "53300"
	stateCannotConnect   = "57P03"
	statePrivilege       = "42501"
	stateUndefinedObject = "42704"
	stateUndefinedFile   = "58P01"
)

// connectAdvice is the next step after a login that the server refused.
func (d *dialer) connectAdvice(err error, t target) string {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		return ""
	}
	switch {
	case strings.Contains(pg.Message, "account has been locked"):
		return fmt.Sprintf("as a system administrator: ALTER USER %s ACCOUNT UNLOCK", quoteIdent(d.user))
	case strings.Contains(pg.Message, "remote connection with initial user"):
		return "the initial user cannot log in from another host: give another system administrator with -U, or the socket directory with -h"
	case pg.Code == stateInvalidPassword && d.family == pgdata.PostgreSQL:
		return "check the user name and the password"
	case pg.Code == stateInvalidPassword:
		return "check -U and -W; each wrong password counts towards the server's failed_login_attempts, which lock the account"
	case pg.Code == stateInvalidAuth && t.replication:
		return fmt.Sprintf("pg_hba.conf needs a line such as: host replication %s ADDRESS/32 %s", d.user, d.passwordMethod())
	case pg.Code == stateInvalidAuth:
		return fmt.Sprintf("pg_hba.conf needs a line such as: host %s %s ADDRESS/32 %s", d.database, d.user, d.passwordMethod())
	case pg.Code == stateNoDatabase:
		return "name an existing database with -d"
	case pg.Code == stateTooMany && t.replication:
		return "raise max_wal_senders, or end a walsender that nobody needs"
	case pg.Code == stateTooMany:
		return "raise max_connections, or try again later"
	case pg.Code == stateCannotConnect:
		return cannotConnectAdvice(pg.Message, t)
	}
	return ""
}

// cannotConnectAdvice tells apart what openGauss refuses with one SQLSTATE
// (ProcessStartupPacket of postmaster.cpp).
func cannotConnectAdvice(message string, t target) string {
	switch {
	case strings.Contains(message, "SSL connection is required"):
		return "no TLS connection came about: see PGSSLMODE; servers before 2.1 have no cipher suite below TLS 1.3 that this program knows; the socket directory with -h needs no TLS"
	case strings.Contains(message, "not for the gsql client"):
		return fmt.Sprintf("port %d is for replication: give the server's normal port with -p, usually %d", t.port, t.port-1)
	case strings.Contains(message, "standby"):
		return "this standby takes no queries: back up another node, or set hot_standby = on"
	}
	return "the server is starting, stopping or recovering: try again when it is up"
}

// passwordMethod is what pg_hba.conf calls the usual login with a password.
func (d *dialer) passwordMethod() string {
	if d.family == pgdata.PostgreSQL {
		return "scram-sha-256"
	}
	return "sha256"
}

// queryAdvice is the next step after a failed statement.
func (d *dialer) queryAdvice(err error) string {
	var pg *pgconn.PgError
	switch {
	case errors.As(err, &pg) && pg.Code == statePrivilege && d.family == pgdata.OpenGauss:
		return fmt.Sprintf("as a system administrator: ALTER USER %s SYSADMIN", quoteIdent(d.user))
	case pg == nil && isLost(err):
		return "the server's log tells why it ended the session; it leaves backup mode by itself then, so take the backup again"
	}
	return ""
}

// StreamAdvice is the next step after the WAL stream failed with err. slot is
// the one it should have used, if any.
func StreamAdvice(err error, slot string) string {
	switch sqlState(err) {
	case stateUndefinedFile:
		return "the server has removed WAL that the backup needs: raise wal_keep_segments, or stream with a replication slot (-S), and take the backup again"
	case stateUndefinedObject:
		return fmt.Sprintf("create the slot first: SELECT * FROM pg_create_physical_replication_slot('%s', false)", strings.ReplaceAll(slot, "'", "''"))
	case stateTooMany:
		return "raise max_wal_senders, or end a walsender that nobody needs"
	}
	return "the server's log tells why its walsender has ended (wal_sender_timeout, a shutdown), if it was not the network; take the backup again"
}
