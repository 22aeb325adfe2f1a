package pgdata

import (
	"path"
	"strconv"
	"strings"
)

// UndoMetaPath is where openGauss keeps the state of its undo zones: units of
// 512 bytes that hold a CRC-32C (knl_uundozone.h).
const UndoMetaPath = "undo/undometa"

// Blocks in one file of an undo zone (knl_uundotype.h).
const (
	undoBlocks     = 128 // <zone>.<segment>
	undoSlotBlocks = 4   // <zone>.meta.<segment>
)

// UndoFirstBlock is the number of the first block of a file below undo/ in its
// zone, which the checksums of its pages cover. Segment numbers have seven hex
// digits.
func UndoFirstBlock(rel string) (block uint32, ok bool) {
	dir, base := path.Split(rel)
	if !strings.HasPrefix(dir, "undo/") {
		return 0, false
	}
	zone, segment, ok := strings.Cut(base, ".")
	if !ok {
		return 0, false
	}
	blocks := uint32(undoBlocks)
	if s, ok := strings.CutPrefix(segment, "meta."); ok {
		segment, blocks = s, undoSlotBlocks
	}
	_, err := strconv.ParseUint(zone, 16, 32)
	n, serr := strconv.ParseUint(segment, 16, 32)
	if err != nil || serr != nil {
		return 0, false
	}
	// The server counts blocks in 32 bits, and lets them run over.
	return uint32(n) * blocks, true
}
