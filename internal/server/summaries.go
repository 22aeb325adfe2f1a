package server

import (
	"context"
	"fmt"
	"strconv"

	"gsprobackup/internal/ptrack"
	"gsprobackup/internal/wal"
)

// minSummarizer is the first PostgreSQL that summarizes WAL.
const minSummarizer = 17

// Summarizer is the WAL summarizer of the flavor's server; ok is false for
// openGauss and for PostgreSQL before 17, which have none.
func Summarizer(f Flavor) (s ptrack.Summarizer, ok bool) {
	p, ok := f.(*postgres)
	if !ok || p.major < minSummarizer {
		return nil, false
	}
	return summarizer{p.c}, true
}

// summarizer asks the functions of PostgreSQL 17 (spec/server.md §8).
type summarizer struct{ c *Conn }

const (
	sqlSummarized = "SELECT summarized_lsn FROM pg_catalog.pg_get_wal_summarizer_state()"
	sqlSummaries  = "SELECT tli, start_lsn, end_lsn FROM pg_catalog.pg_available_wal_summaries()"
	sqlSummary    = "SELECT relfilenode, reltablespace, reldatabase, relforknumber, relblocknumber, is_limit_block" +
		" FROM pg_catalog.pg_wal_summary_contents($1, $2, $3)"
)

func (s summarizer) SummarizesWAL(ctx context.Context) (bool, error) {
	v, err := one(s.c.Query(ctx, sqlSetting, "summarize_wal"))
	return v == "on", err
}

// SummarizedLSN is 0 while the summarizer starts up.
func (s summarizer) SummarizedLSN(ctx context.Context) (wal.LSN, error) {
	v, err := one(s.c.Query(ctx, sqlSummarized))
	if err != nil || v == "" {
		return 0, err
	}
	return wal.ParseLSN(v)
}

func (s summarizer) WALSummaries(ctx context.Context) ([]ptrack.Summary, error) {
	rows, err := s.c.Query(ctx, sqlSummaries)
	if err != nil {
		return nil, err
	}
	list := make([]ptrack.Summary, 0, len(rows))
	for _, r := range rows {
		if len(r) != 3 {
			return nil, fmt.Errorf("read list of WAL summaries: %d columns, want 3", len(r))
		}
		tli, err := strconv.ParseUint(string(r[0]), 10, 32)
		if err != nil {
			return nil, fmt.Errorf("read list of WAL summaries: %w", err)
		}
		sum := ptrack.Summary{Timeline: wal.Timeline(tli)}
		if sum.Start, err = wal.ParseLSN(string(r[1])); err != nil {
			return nil, fmt.Errorf("read list of WAL summaries: %w", err)
		}
		if sum.End, err = wal.ParseLSN(string(r[2])); err != nil {
			return nil, fmt.Errorf("read list of WAL summaries: %w", err)
		}
		list = append(list, sum)
	}
	return list, nil
}

func (s summarizer) WALSummaryContents(ctx context.Context, sum ptrack.Summary, f func(ptrack.SummaryRow) error) error {
	args := []string{strconv.FormatUint(uint64(sum.Timeline), 10), sum.Start.String(), sum.End.String()}
	return s.c.Each(ctx, sqlSummary, args, func(row [][]byte) error {
		r, err := summaryRow(row)
		if err != nil {
			return fmt.Errorf("read WAL summary from %s to %s: %w", sum.Start, sum.End, err)
		}
		return f(r)
	})
}

func summaryRow(row [][]byte) (r ptrack.SummaryRow, err error) {
	if len(row) != 6 {
		return r, fmt.Errorf("%d columns, want 6", len(row))
	}
	var n [5]uint64
	for i := range n {
		if n[i], err = strconv.ParseUint(string(row[i]), 10, 32); err != nil {
			return r, err
		}
	}
	return ptrack.SummaryRow{
		Relation: uint32(n[0]), Tablespace: uint32(n[1]), Database: uint32(n[2]),
		Fork: int16(n[3]), Block: uint32(n[4]), Limit: isTrue(row[5]),
	}, nil
}
