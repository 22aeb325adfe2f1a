package pgserver

import (
	"context"
	"crypto/md5"
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"
	"strconv"
)

// Journal is everything the load did, read from the source's history table
// after the load has stopped. Since balances start at 0 and each transaction
// writes its journal row, the journal tells what every row of all four tables
// must be at any point of the past, also when the source is long gone:
//
//	restored history = a prefix of each client's transactions (no gap)
//	restored balance = sum of the deltas in that prefix
//
// So "the data at the backup's stop point" can be computed exactly and
// compared with the restored tables by checksum.
type Journal struct {
	Tables  LoadTables
	Commits [][]Commit
	SegSize uint64               // WAL segment size in bytes
	rows    map[int][]journalRow // by client, index seq-1
}

type journalRow struct{ aid, tid, bid, delta int }

// ReadJournal reads the journal; the load must have been stopped.
func (s *Server) ReadJournal(ctx context.Context, l *Load) (*Journal, error) {
	j := &Journal{Tables: l.Tables, Commits: l.commits, rows: map[int][]journalRow{}}
	seg, err := s.SQL(ctx, "postgres", "SELECT setting FROM pg_settings WHERE name = 'wal_segment_size'")
	if err != nil {
		return nil, err
	}
	if j.SegSize, err = strconv.ParseUint(seg[0][0], 10, 64); err != nil {
		return nil, fmt.Errorf("read WAL segment size: %w", err)
	}
	rows, err := s.SQL(ctx, "postgres", "SELECT client, seq, aid, tid, bid, delta FROM history ORDER BY client, seq")
	if err != nil {
		return nil, err
	}
	for _, r := range rows {
		n, err := ints(r)
		if err != nil {
			return nil, err
		}
		client := n[0]
		if n[1] != len(j.rows[client])+1 {
			return nil, fmt.Errorf("read journal: client %d has transaction %d after %d", client, n[1], len(j.rows[client]))
		}
		j.rows[client] = append(j.rows[client], journalRow{n[2], n[3], n[4], n[5]})
	}
	for c, commits := range l.commits {
		if len(commits) > len(j.rows[c]) {
			return nil, fmt.Errorf("read journal: client %d committed %d transactions, history has %d", c, len(commits), len(j.rows[c]))
		}
	}
	return j, nil
}

// Position says how many transactions of each client a cluster holds.
type Position map[int]int

// Total is the number of transactions of all clients.
func (p Position) Total() int {
	n := 0
	for _, v := range p {
		n += v
	}
	return n
}

// PositionOf reads the position of a restored cluster; an error when a client's
// transactions have a gap.
func (s *Server) PositionOf(ctx context.Context) (Position, error) {
	rows, err := s.SQL(ctx, "postgres", "SELECT client, count(*), min(seq), max(seq) FROM history GROUP BY client")
	if err != nil {
		return nil, err
	}
	p := Position{}
	for _, r := range rows {
		n, err := ints(r)
		if err != nil {
			return nil, err
		}
		if n[2] != 1 || n[1] != n[3] {
			return nil, fmt.Errorf("check journal: client %d has %d transactions numbered %d to %d", n[0], n[1], n[2], n[3])
		}
		p[n[0]] = n[1]
	}
	return p, nil
}

// CheckPosition compares a restored position with the stop LSN of the backup:
// what was confirmed before it must be there, and what began after the end of
// the stop point's WAL segment must not. Between the two both are right: the
// server switches the segment a moment after the stop record, and recovery
// without a target replays the segment to its end.
func (j *Journal) CheckPosition(p Position, stopLSN uint64) error {
	segEnd := (stopLSN/j.SegSize + 1) * j.SegSize
	var errs []error
	for c, commits := range j.Commits {
		for i, commit := range commits {
			if commit.LSN <= stopLSN && commit.Seq > p[c] {
				errs = append(errs, fmt.Errorf("client %d: transaction %d, committed before the stop point, is lost (restored up to %d)", c, commit.Seq, p[c]))
				break
			}
			if commit.Seq <= p[c] && i > 0 && commits[i-1].LSN > segEnd {
				errs = append(errs, fmt.Errorf("client %d: transaction %d, begun after the stop point's segment, was restored", c, commit.Seq))
				break
			}
		}
	}
	return errors.Join(errs...)
}

// ChecksumsAt computes what Server.Checksums must give for the four load
// tables at a position.
func (j *Journal) ChecksumsAt(p Position) (map[string]string, error) {
	lt := j.Tables
	abal, tbal, bbal := make([]int, lt.accounts()), make([]int, lt.Branches*tellersPerBranch), make([]int, lt.Branches)
	var history tableSum
	for c, n := range p {
		if n > len(j.rows[c]) {
			return nil, fmt.Errorf("compute checksums: client %d has %d transactions in the copy but %d in the source", c, n, len(j.rows[c]))
		}
		for i, r := range j.rows[c][:n] {
			abal[r.aid-1] += r.delta
			tbal[r.tid-1] += r.delta
			bbal[r.bid-1] += r.delta
			history.add(fmt.Sprintf("(%d,%d,%d,%d,%d,%d)", c, i+1, r.aid, r.tid, r.bid, r.delta))
		}
	}
	var accounts, tellers, branches tableSum
	for i, b := range abal {
		accounts.add(fmt.Sprintf("(%d,%d,%d,%s)", i+1, i/lt.AccountsPerBranch+1, b, filler))
	}
	for i, b := range tbal {
		tellers.add(fmt.Sprintf("(%d,%d,%d,%s)", i+1, i/tellersPerBranch+1, b, filler))
	}
	for i, b := range bbal {
		branches.add(fmt.Sprintf("(%d,%d,%s)", i+1, b, filler))
	}
	return map[string]string{
		"postgres.public.accounts": accounts.String(), "postgres.public.tellers": tellers.String(),
		"postgres.public.branches": branches.String(), "postgres.public.history": history.String(),
	}, nil
}

// tableSum is the checksum of Server.Checksums computed on this side.
type tableSum struct {
	rows int
	sum  big.Int
}

func (t *tableSum) add(row string) {
	h := md5.Sum([]byte(row))
	var v big.Int
	t.sum.Add(&t.sum, v.SetInt64(int64(binary.BigEndian.Uint64(h[:8]))))
	t.rows++
}

func (t *tableSum) String() string { return strconv.Itoa(t.rows) + " rows " + t.sum.String() }

func ints(row []string) ([]int, error) {
	out := make([]int, len(row))
	for i, text := range row {
		n, err := strconv.Atoi(text)
		if err != nil {
			return nil, fmt.Errorf("read number: %w", err)
		}
		out[i] = n
	}
	return out, nil
}
