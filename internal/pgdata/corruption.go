package pgdata

import (
	"fmt"
	"strings"
)

// CorruptionError says that bytes on disk are not what the format or a
// checksum promises. Path and Block are filled in by whoever knows them;
// Expected and Found are the two checksums, or both 0 when Reason says it all.
type CorruptionError struct {
	// Path names the file, as the layer that reports it sees it.
	Path string
	// Block is the block number inside the file; 0 for files without pages.
	Block uint32
	// Expected is the stored checksum, Found the computed one.
	Expected, Found uint64
	// Reason is the C tool's tail (spec/formats.md §7.4) or a short phrase.
	Reason string
}

func (e *CorruptionError) Error() string {
	var b strings.Builder
	b.WriteString("corrupt data")
	if e.Path != "" {
		fmt.Fprintf(&b, " in file %q, block %d", e.Path, e.Block)
	}
	if e.Reason != "" {
		b.WriteString(": ")
		b.WriteString(e.Reason)
	}
	if e.Expected != e.Found {
		fmt.Fprintf(&b, " (expected %d, found %d)", e.Expected, e.Found)
	}
	return b.String()
}
