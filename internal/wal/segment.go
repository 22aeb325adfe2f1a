package wal

import (
	"fmt"
	"strconv"
	"strings"
)

// Sizes in bytes.
const (
	PageSize       = 8192     // XLOG_BLCKSZ of every supported server build
	DefaultSegSize = 16 << 20 // both families; openGauss on DSS uses 1 GiB
	MinSegSize     = 1 << 20
	MaxSegSize     = 1 << 30

	shortHeaderSize = 24
	longHeaderSize  = 40
)

// PartialSuffix marks a segment that was not received to its end.
const PartialSuffix = ".partial"

// ValidSegSize tells whether n is a segment size a server can have: a power
// of two from 1 MiB to 1 GiB.
func ValidSegSize(n uint32) bool {
	return n >= MinSegSize && n <= MaxSegSize && n&(n-1) == 0
}

// SegmentNumber is the number of the segment holding lsn.
func SegmentNumber(lsn LSN, segSize uint32) uint64 { return uint64(lsn) / uint64(segSize) }

// SegmentStart is the first position of a segment.
func SegmentStart(segno uint64, segSize uint32) LSN { return LSN(segno * uint64(segSize)) }

// SegmentOffset is the distance of lsn from the start of its segment.
func SegmentOffset(lsn LSN, segSize uint32) uint32 { return uint32(uint64(lsn) % uint64(segSize)) }

// SegmentName is the file name of a segment: timeline and the two halves of
// its number as 24 upper-case hexadecimal digits (formats.md §10.1).
func SegmentName(tli Timeline, segno uint64, segSize uint32) string {
	per := segmentsPerID(segSize)
	return fmt.Sprintf("%08X%08X%08X", uint32(tli), uint32(segno/per), uint32(segno%per))
}

// SegmentNameAt is the name of the segment holding lsn.
func SegmentNameAt(tli Timeline, lsn LSN, segSize uint32) string {
	return SegmentName(tli, SegmentNumber(lsn, segSize), segSize)
}

// ParseSegmentName takes a bare 24-digit name apart. Only upper-case digits
// are accepted, and the last part must be possible for the segment size.
func ParseSegmentName(name string, segSize uint32) (Timeline, uint64, error) {
	if !IsSegmentName(name) {
		return 0, 0, fmt.Errorf("parse WAL segment name %q: want 24 upper-case hexadecimal digits", name)
	}
	tli, _ := strconv.ParseUint(name[:8], 16, 32)
	hi, _ := strconv.ParseUint(name[8:16], 16, 32)
	lo, _ := strconv.ParseUint(name[16:], 16, 32)
	per := segmentsPerID(segSize)
	if lo >= per {
		return 0, 0, fmt.Errorf("parse WAL segment name %q: last part is above %X for segments of %d bytes", name, per-1, segSize)
	}
	return Timeline(tli), hi*per + lo, nil
}

// IsSegmentName tells whether name is 24 upper-case hexadecimal digits.
func IsSegmentName(name string) bool { return len(name) == 24 && isUpperHex(name) }

// HistoryName is the name of a timeline's history file.
func HistoryName(tli Timeline) string { return fmt.Sprintf("%08X.history", uint32(tli)) }

// ParseHistoryName reads the timeline out of a history file name.
func ParseHistoryName(name string) (Timeline, error) {
	digits, ok := strings.CutSuffix(name, ".history")
	if !ok || len(digits) != 8 || !isUpperHex(digits) {
		return 0, fmt.Errorf("parse timeline history file name %q: want 8 digits and .history", name)
	}
	tli, err := strconv.ParseUint(digits, 16, 32)
	return Timeline(tli), err
}

// ValidRecordOffset tells whether a record can start at lsn: outside page
// headers and on a multiple of 8 (formats.md §10.1).
func ValidRecordOffset(lsn LSN, segSize uint32) bool {
	return lsn%8 == 0 && uint64(lsn)%PageSize >= uint64(headerSizeAt(lsn, segSize))
}

// headerSizeAt is the size of the header of the page holding lsn.
func headerSizeAt(lsn LSN, segSize uint32) int {
	if SegmentOffset(lsn, segSize) < PageSize {
		return longHeaderSize
	}
	return shortHeaderSize
}

func segmentsPerID(segSize uint32) uint64 { return (1 << 32) / uint64(segSize) }

func isUpperHex(s string) bool {
	return strings.Trim(s, "0123456789ABCDEF") == ""
}
