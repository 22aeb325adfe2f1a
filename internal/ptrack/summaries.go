package ptrack

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"gsprobackup/internal/usererr"
	"gsprobackup/internal/wal"
)

// Summarizer is a server that summarizes its WAL, PostgreSQL 17 and later with
// summarize_wal (spec/server.md §8).
type Summarizer interface {
	// SummarizesWAL tells whether summarize_wal is on.
	SummarizesWAL(ctx context.Context) (bool, error)
	// SummarizedLSN is the position up to which summaries are on disk.
	SummarizedLSN(ctx context.Context) (wal.LSN, error)
	// WALSummaries lists what is on disk, in no order.
	WALSummaries(ctx context.Context) ([]Summary, error)
	// WALSummaryContents calls f for each row of one summary.
	WALSummaryContents(ctx context.Context, s Summary, f func(SummaryRow) error) error
}

// Summary is a range of WAL whose changes are known.
type Summary struct {
	Timeline   wal.Timeline
	Start, End wal.LSN
}

// SummaryRow is a changed block, or with Limit a length that the relation was
// cut to: 0 when it was made or dropped. Relation 0 is the whole database in
// this tablespace, made by file copy or dropped.
type SummaryRow struct {
	Tablespace, Database, Relation uint32
	Fork                           int16
	Block                          uint32
	Limit                          bool
}

// mainFork is the only fork stored page by page. The free-space map is not in
// the summaries at all; all other forks are compared by content.
const mainFork = 0

// PathOf gives the path of a relation's first file, or of a database directory
// for relation 0.
type PathOf func(tablespace, database, relation uint32) string

// CheckSummarizer fails when summarize_wal is off.
func CheckSummarizer(ctx context.Context, src Summarizer) error {
	on, err := src.SummarizesWAL(ctx)
	if err == nil && !on {
		err = usererr.New("cannot find changed blocks, summarize_wal is off").
			WithHint("set summarize_wal = on, reload, and take a FULL backup; or use -b DELTA, which needs no server setting")
	}
	return err
}

// FromSummaries waits until the server has summarized a range and reads it.
func FromSummaries(ctx context.Context, src Summarizer, q Query, path PathOf) (*Changes, error) {
	if err := q.check(); err != nil {
		return nil, err
	}
	if err := CheckSummarizer(ctx, src); err != nil {
		return nil, err
	}
	at, err := q.until(ctx, q.End, src.SummarizedLSN)
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		return nil, q.late(err, "the WAL summarizer", at, q.End).
			WithHint("look for messages of the walsummarizer process in the server log; -b DELTA does not need it")
	}
	if err != nil {
		return nil, err
	}
	all, err := src.WALSummaries(ctx)
	if err != nil {
		return nil, err
	}
	cover, err := q.cover(all)
	if err != nil {
		return nil, err
	}
	c := newChanges(q.Keep)
	add := func(row SummaryRow) error { return c.addSummary(row, path) }
	for _, s := range cover {
		if err := src.WALSummaryContents(ctx, s, add); err != nil {
			return nil, err
		}
	}
	return c, nil
}

func (c *Changes) addSummary(row SummaryRow, path PathOf) error {
	if row.Fork != mainFork {
		return nil
	}
	name := path(row.Tablespace, row.Database, row.Relation)
	switch {
	case !c.keep(name):
	case row.Relation == 0:
		c.setAnew(name)
	case row.Limit:
		c.relation(name).cutTo(row.Block)
	default:
		c.relation(name).add(row.Block)
	}
	return nil
}

// cover chooses the summaries of a range. Summaries may overlap it at both
// ends: then more blocks are reported than changed.
func (r Range) cover(all []Summary) ([]Summary, error) {
	var list []Summary
	for _, s := range all {
		if s.Timeline == r.Timeline && s.Start < s.End && s.End > r.Start && s.Start < r.End {
			list = append(list, s)
		}
	}
	slices.SortFunc(list, func(a, b Summary) int { return cmp.Or(cmp.Compare(a.Start, b.Start), cmp.Compare(b.End, a.End)) })
	at := r.Start
	for _, s := range list {
		if s.Start > at {
			return nil, r.gap(at, s.Start)
		}
		at = max(at, s.End)
	}
	if at < r.End {
		return nil, r.gap(at, r.End)
	}
	return list, nil
}

func (r Range) gap(from, to wal.LSN) error {
	return usererr.New("WAL summaries are missing between %s and %s on timeline %d, but changed blocks are needed from %s to %s",
		from, to, r.Timeline, r.Start, r.End).
		WithHint("summarize_wal was off for a while, or wal_summary_keep_time is shorter than the time since the parent backup: take a FULL or a DELTA backup")
}
