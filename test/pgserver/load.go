package pgserver

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"

	"github.com/jackc/pgx/v5/pgconn"
)

// LoadTables describes the tables of the write load, those of pgbench's TPC-B:
// accounts, tellers, branches, history. History rows also name the client and
// its transaction number, which makes the table a journal (see Journal).
type LoadTables struct {
	Branches          int    // tellers are 10 times as many
	AccountsPerBranch int    // 0: 10,000; pgbench has 100,000
	Tablespace        string // for history and the accounts index; "" is the default
}

const (
	tellersPerBranch         = 10
	defaultAccountsPerBranch = 10000
	filler                   = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" // 84
)

func (lt LoadTables) accounts() int { return lt.Branches * lt.AccountsPerBranch }

func (lt LoadTables) withDefaults() LoadTables {
	lt.Branches = max(lt.Branches, 1)
	if lt.AccountsPerBranch == 0 {
		lt.AccountsPerBranch = defaultAccountsPerBranch
	}
	return lt
}

// CreateLoadTables makes and fills the tables in database postgres.
func (s *Server) CreateLoadTables(ctx context.Context, lt LoadTables) (LoadTables, error) {
	lt = lt.withDefaults()
	ts, indexTS := "", ""
	if lt.Tablespace != "" {
		ts, indexTS = " TABLESPACE "+lt.Tablespace, " USING INDEX TABLESPACE "+lt.Tablespace
	}
	sql := fmt.Sprintf(`
CREATE TABLE branches (bid int NOT NULL, bbalance int NOT NULL, filler text NOT NULL);
CREATE TABLE tellers (tid int NOT NULL, bid int NOT NULL, tbalance int NOT NULL, filler text NOT NULL);
CREATE TABLE accounts (aid int NOT NULL, bid int NOT NULL, abalance int NOT NULL, filler text NOT NULL);
CREATE TABLE history (client int NOT NULL, seq int NOT NULL, aid int NOT NULL, tid int NOT NULL, bid int NOT NULL, delta int NOT NULL)%[1]s;
INSERT INTO branches SELECT i, 0, '%[3]s' FROM generate_series(1, %[4]d) i;
INSERT INTO tellers SELECT i, (i - 1) / %[5]d + 1, 0, '%[3]s' FROM generate_series(1, %[6]d) i;
INSERT INTO accounts SELECT i, (i - 1) / %[7]d + 1, 0, '%[3]s' FROM generate_series(1, %[8]d) i;
ALTER TABLE branches ADD PRIMARY KEY (bid);
ALTER TABLE tellers ADD PRIMARY KEY (tid);
ALTER TABLE accounts ADD PRIMARY KEY (aid)%[2]s;
ALTER TABLE history ADD PRIMARY KEY (client, seq)%[2]s;`,
		ts, indexTS, filler, lt.Branches, tellersPerBranch, lt.Branches*tellersPerBranch, lt.AccountsPerBranch, lt.accounts())
	if _, err := s.SQL(ctx, "postgres", sql); err != nil {
		return lt, err
	}
	_, err := s.SQL(ctx, "postgres", "VACUUM ANALYZE")
	return lt, err
}

// Commit is a transaction the server has confirmed.
type Commit struct {
	Seq int    // 1, 2, … for each client
	LSN uint64 // WAL insert position right after the commit
}

// Load is a running write load.
type Load struct {
	cancel  context.CancelFunc
	wg      sync.WaitGroup
	mu      sync.Mutex
	changed sync.Cond // count or active changed
	count   int64
	active  int        // clients still running
	commits [][]Commit // by client
	errs    []error    // by client
	Tables  LoadTables
}

// StartLoad lets clients (0, 1, …) run TPC-B-like transactions until Stop. It
// returns when every client has committed once, so the caller knows that the
// load is under way. The tables must be new.
func (s *Server) StartLoad(ctx context.Context, lt LoadTables, clients int) (*Load, error) {
	runCtx, cancel := context.WithCancel(ctx)
	l := &Load{cancel: cancel, commits: make([][]Commit, clients), errs: make([]error, clients), Tables: lt.withDefaults()}
	l.changed.L = &l.mu
	first := make(chan struct{}, 2*clients)
	for c := range clients {
		conn, err := s.Connect(ctx, "postgres")
		if err != nil {
			return nil, errors.Join(err, l.stop())
		}
		l.wg.Add(1)
		l.bump(0, 1)
		go func() {
			defer l.wg.Done()
			defer l.bump(0, -1)
			defer conn.Close(context.WithoutCancel(runCtx))
			l.errs[c] = l.client(runCtx, conn, c, first)
			first <- struct{}{} // also when it failed
		}()
	}
	for range clients {
		<-first
	}
	return l, nil
}

func (l *Load) client(ctx context.Context, conn *pgconn.PgConn, c int, first chan<- struct{}) error {
	rnd := rand.New(rand.NewPCG(uint64(c), 1))
	for seq := 1; ctx.Err() == nil; seq++ {
		aid := rnd.IntN(l.Tables.accounts()) + 1
		tid := rnd.IntN(l.Tables.Branches*tellersPerBranch) + 1
		bid := rnd.IntN(l.Tables.Branches) + 1
		delta := rnd.IntN(10001) - 5000
		// Not cancelled half-way: a transaction we started is one we know the end of.
		rows, err := Query(context.WithoutCancel(ctx), conn, fmt.Sprintf(`BEGIN;
UPDATE accounts SET abalance = abalance + %[1]d WHERE aid = %[2]d;
UPDATE tellers SET tbalance = tbalance + %[1]d WHERE tid = %[3]d;
UPDATE branches SET bbalance = bbalance + %[1]d WHERE bid = %[4]d;
INSERT INTO history VALUES (%[5]d, %[6]d, %[2]d, %[3]d, %[4]d, %[1]d);
COMMIT;
SELECT pg_current_wal_insert_lsn()`, delta, aid, tid, bid, c, seq))
		if err != nil {
			return fmt.Errorf("load client %d: %w", c, err)
		}
		lsn, err := parseLSN(rows[0][0])
		if err != nil {
			return err
		}
		l.commits[c] = append(l.commits[c], Commit{Seq: seq, LSN: lsn})
		l.bump(1, 0)
		if seq == 1 {
			first <- struct{}{}
		}
	}
	return nil
}

func (l *Load) bump(count int64, active int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.count += count
	l.active += active
	l.changed.Broadcast()
}

// Count is the number of confirmed transactions so far.
func (l *Load) Count() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.count
}

// WaitCount waits until at least n transactions are confirmed, or no client is
// left, and gives the number.
func (l *Load) WaitCount(n int64) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.count < n && l.active > 0 {
		l.changed.Wait()
	}
	return l.count
}

// Stop ends the load and gives the confirmed transactions of each client.
func (l *Load) Stop() ([][]Commit, error) {
	err := l.stop()
	return l.commits, err
}

func (l *Load) stop() error {
	l.cancel()
	l.wg.Wait()
	return errors.Join(l.errs...)
}

func parseLSN(text string) (uint64, error) {
	var hi, lo uint32
	if _, err := fmt.Sscanf(text, "%X/%X", &hi, &lo); err != nil {
		return 0, fmt.Errorf("read LSN %s: %w", strconv.Quote(text), err)
	}
	return uint64(hi)<<32 | uint64(lo), nil
}
