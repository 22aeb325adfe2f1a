package remote

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"gsprobackup/internal/blockfile"
	"gsprobackup/internal/crc32c"
	"gsprobackup/internal/pgdata"
	"gsprobackup/internal/wal"
)

// MaxSumPages is the largest number of pages a SumRequest may ask for: 64 MiB
// of file, so that a call ends soon.
const MaxSumPages = 8192

// SumRequest asks for the sums of pages From..To-1 of a file.
type SumRequest struct {
	Path string
	// From and To are numbers of 8 KiB blocks inside the file, at most
	// MaxSumPages of them.
	From, To uint32
	// FirstBlock and Rules are those of RunRequest.
	FirstBlock uint32
	Rules      pgdata.PageRules
	// Content asks for the sum of each block's content, too; then the file
	// need not consist of pages.
	Content bool
}

// PageSums is the answer to a SumRequest.
type PageSums struct {
	// Size is the length of the file in bytes.
	Size int64
	// Pages are the blocks From.. that the file has; the rest of a block at
	// its end is not among them.
	Pages []PageSum
}

// PageSum describes one page.
type PageSum struct {
	LSN      wal.LSN    // as in pgdata.PageCheck
	Content  ContentSum // if it was asked for
	Checksum uint16     // computed, 0 for a zero page or a bad header
	Status   pgdata.PageStatus
}

// ContentSum is a sum of bytes: their CRC-32 (IEEE) in the high half and their
// CRC-32C in the low one. The CRC-32C alone would not do: the servers have
// files whose parts end with their own CRC-32C, and the sum of such a part is
// the same whatever is in it.
type ContentSum uint64

// SumContent is the sum of p.
func SumContent(p []byte) ContentSum { return ContentSum(0).Update(p) }

// Update continues a sum, 0 for nothing, with p.
func (s ContentSum) Update(p []byte) ContentSum {
	ieee := crc32.Update(uint32(s>>32), crc32.IEEETable, p)
	return ContentSum(ieee)<<32 | ContentSum(crc32c.Update(s.CRC32C(), p))
}

// CRC32C is the CRC-32C of the same bytes.
func (s ContentSum) CRC32C() uint32 { return uint32(s) }

// FileSum describes the content of a file.
type FileSum struct {
	Sum  ContentSum
	Size int64
	// Missing tells that there is no such file.
	Missing bool
}

func (r *localReader) FileSums(ctx context.Context, paths []string) ([]FileSum, error) {
	sums := make([]FileSum, len(paths))
	for i, path := range paths {
		var sum contentSummer
		_, err := r.CopyFile(ctx, CopyRequest{Path: path}, &sum)
		switch {
		case errors.Is(err, ErrVanished):
			sum.Missing = true
		case err != nil:
			return nil, fmt.Errorf("read %s: %w", path, err)
		}
		sums[i] = sum.FileSum
	}
	return sums, nil
}

// contentSummer is a FileSink that only sums.
type contentSummer struct{ FileSum }

// blank is a piece of a hole.
var blank [64 << 10]byte

func (s *contentSummer) Data(p []byte) error {
	s.Sum, s.Size = s.Sum.Update(p), s.Size+int64(len(p))
	return nil
}

func (s *contentSummer) Hole(n int64) error {
	for n > 0 {
		p := blank[:min(n, int64(len(blank)))]
		s.Sum, s.Size = s.Sum.Update(p), s.Size+int64(len(p))
		n -= int64(len(p))
	}
	return nil
}

func (r *localReader) PageSums(ctx context.Context, req *SumRequest, sums *PageSums) error {
	sums.Pages = sums.Pages[:0]
	if req.From > req.To || req.To-req.From > MaxSumPages {
		return fmt.Errorf("read %s: block range %d..%d", req.Path, req.From, req.To)
	}
	if err := r.open(req.Path); err != nil {
		return err
	}
	fi, err := r.file.Stat()
	if err != nil {
		return err
	}
	sums.Size = fi.Size()
	for at := req.From; at < req.To; {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		buf := r.raw[:min(int(req.To-at), MaxRunPages)*blockfile.PageSize]
		n, err := r.file.ReadAt(buf, int64(at)*blockfile.PageSize)
		ended := errors.Is(err, io.EOF)
		if err != nil && !ended {
			return fmt.Errorf("read block %d: %w", at, err)
		}
		for end := n; n >= blockfile.PageSize; n -= blockfile.PageSize {
			page := buf[end-n:][:blockfile.PageSize]
			sums.Pages = append(sums.Pages, req.sum(at, page))
			at++
		}
		if ended {
			return nil
		}
	}
	return nil
}

func (q *SumRequest) sum(block uint32, page []byte) PageSum {
	check := pgdata.CheckPage(page, q.FirstBlock+block, q.Rules)
	s := PageSum{LSN: check.LSN, Checksum: check.Computed, Status: check.Status}
	if q.Content {
		s.Content = SumContent(page)
	}
	return s
}
