package server

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"gsprobackup/internal/pgdata"
	"gsprobackup/internal/usererr"
	"gsprobackup/internal/wal"
)

// ReplConn is a replication connection. openGauss closes it upon any failing
// command (spec/server.md §4.1), so one error ends its use.
type ReplConn struct {
	d    *dialer
	link *link
	// Port is where the connection was made; openGauss serves replication one
	// port above the given one.
	Port int
}

// ConnectReplication opens a replication connection to the same server with
// the password found for c.
func (c *Conn) ConnectReplication(ctx context.Context) (*ReplConn, error) {
	var first, last error
	ports := c.d.replicationPorts()
	for _, port := range ports {
		l, err := c.d.dial(ctx, target{port: port, replication: true})
		if err == nil {
			return &ReplConn{d: c.d, link: l, Port: port}, nil
		}
		if last = err; first == nil {
			first = err
		}
		// A wrong password must not be tried twice: misses lock the account.
		if ctx.Err() != nil || sqlState(err) == stateInvalidPassword {
			break
		}
	}
	var ue *usererr.Error
	if len(ports) > 1 && !errors.Is(last, first) && errors.As(first, &ue) {
		// C's error is about the first port; what the other one said, such as
		// that it wants the first, belongs to the cause.
		ue.Hint = strings.TrimSpace(fmt.Sprintf("no replication connection on port %d, nor on port %d: %s", ports[0], ports[1], lastReason(last)))
	}
	return nil, first
}

// lastReason is what the server or the network said, without C's frame.
func lastReason(err error) string {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return formatPgError(pg)
	}
	return err.Error()
}

// replicationPorts lists the ports to try. openGauss: C goes to the given port
// + 1 (the HA port), but to the default port unchanged (spec/server.md §1.1);
// the other one is tried next, since servers without thread pool also serve
// replication on the normal port, and 1.1 did only that.
func (d *dialer) replicationPorts() []int {
	switch {
	case d.family == pgdata.PostgreSQL:
		return []int{d.port}
	case d.port == 65535:
		return []int{d.port}
	case d.explicitPort:
		return []int{d.port + 1, d.port}
	default:
		return []int{d.port, d.port + 1}
	}
}

// Close ends the connection; a temporary slot goes with it.
func (r *ReplConn) Close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, cancelGrace)
	defer cancel()
	if err := r.link.pg.Close(ctx); err != nil && !isLost(err) {
		return fmt.Errorf("close replication connection: %w", err)
	}
	return nil
}

// System is the answer to IDENTIFY_SYSTEM.
type System struct {
	Identity
	XLogPos wal.LSN
	family  pgdata.Family
}

// IdentifySystem asks for the system identifier, the present time line and
// the flush position.
func (r *ReplConn) IdentifySystem(ctx context.Context) (*System, error) {
	const command = "IDENTIFY_SYSTEM"
	rows, err := r.command(ctx, command)
	if err == nil && (len(rows) != 1 || len(rows[0]) < 3) {
		err = fmt.Errorf("%d rows, want one of 3 or more columns", len(rows))
	}
	if err != nil {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("identify system: %w", context.Cause(ctx))
		}
		r.d.Events.Emit(ReplicationCommandFailed{Command: command, Message: serverText(err)})
		ue := usererr.Wrap(err, "Cannot continue backup because stream connect has failed.")
		ue.Hint = StreamAdvice(err, "")
		return nil, ue
	}
	row := rows[0]
	s := &System{family: r.d.family}
	if s.SystemID, err = strconv.ParseUint(string(row[0]), 10, 64); err != nil {
		return nil, usererr.Wrap(err, "%s is not system_identifier", row[0])
	}
	tli, err := strconv.ParseUint(string(row[1]), 10, 32)
	if err != nil {
		return nil, fmt.Errorf("read time line of IDENTIFY_SYSTEM: %w", err)
	}
	s.Timeline = wal.Timeline(tli)
	if s.XLogPos, err = wal.ParseLSN(string(row[2])); err != nil {
		return nil, fmt.Errorf("read position of IDENTIFY_SYSTEM: %w", err)
	}
	return s, nil
}

// Check compares with the cluster that is being backed up, in C's words
// (spec/server.md §4.1).
func (s *System) Check(want Identity) error {
	if s.SystemID != want.SystemID {
		return usererr.New("System identifier mismatch. Connected %s instance has system id: %d. Expected: %d.",
			s.family, s.SystemID, want.SystemID)
	}
	if s.Timeline != want.Timeline {
		return usererr.New("Timeline identifier mismatch. Connected %s instance has timeline id: %X. Expected: %X.",
			s.family, uint32(s.Timeline), uint32(want.Timeline))
	}
	return nil
}

// CreateTempSlot runs a TempSlotCommand and returns the position from which
// the slot keeps WAL.
func (r *ReplConn) CreateTempSlot(ctx context.Context, command string) (wal.LSN, error) {
	rows, err := r.command(ctx, command)
	if err != nil {
		return 0, fmt.Errorf("create temporary slot: %w", r.d.queryError(ctx, command, err))
	}
	if len(rows) != 1 || len(rows[0]) < 2 {
		return 0, fmt.Errorf("create temporary slot: %d rows, want one of 2 or more columns", len(rows))
	}
	return wal.ParseLSN(string(rows[0][1]))
}

// TimelineHistory fetches the history file of a time line above 1. PostgreSQL
// only; openGauss has a single time line and no such command.
func (r *ReplConn) TimelineHistory(ctx context.Context, tli wal.Timeline) (name string, content []byte, err error) {
	command := fmt.Sprintf("TIMELINE_HISTORY %d", tli)
	rows, err := r.command(ctx, command)
	if err != nil {
		return "", nil, fmt.Errorf("fetch time line history: %w", r.d.queryError(ctx, command, err))
	}
	if len(rows) != 1 || len(rows[0]) != 2 {
		return "", nil, fmt.Errorf("fetch time line history: %d rows, want one of 2 columns", len(rows))
	}
	name = string(rows[0][0])
	if strings.ContainsAny(name, "/\\") || !strings.HasSuffix(name, ".history") {
		return "", nil, fmt.Errorf("fetch time line history: strange file name %q", name)
	}
	return name, rows[0][1], nil
}

// command runs one replication command; these connections know only the
// simple protocol (spec/server.md §1.5). The error is the server's own.
func (r *ReplConn) command(ctx context.Context, command string) (Rows, error) {
	r.d.Events.Emit(QuerySent{SQL: command})
	var results []*pgconn.Result
	results, err := r.link.pg.Exec(ctx, command).ReadAll()
	if err != nil {
		return nil, err
	}
	if len(results) == 0 {
		return nil, nil
	}
	return results[len(results)-1].Rows, nil
}
