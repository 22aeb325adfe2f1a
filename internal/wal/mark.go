package wal

import (
	"fmt"
	"strconv"
	"strings"
)

// Mark is a position in the log of a timeline and its ancestors, whatever the
// size of segments: the segment that holds the byte before it and the offset
// behind that byte. It is spelled like the name of a backup history file.
//
// It means nothing on later timelines: PostgreSQL keeps its restore_command
// after the recovery that a mark was made for.
type Mark struct {
	timeline string // 8 digits
	segment  string // 16 digits
	offset   uint32
}

// MarkOf is the mark of end, which is not 0.
func MarkOf(tli Timeline, end LSN, segSize uint32) string {
	return fmt.Sprintf("%s.%08X", SegmentNameAt(tli, end-1, segSize), SegmentOffset(end-1, segSize)+1)
}

// ParseMark reads what MarkOf has written.
func ParseMark(text string) (Mark, error) {
	name, digits, _ := strings.Cut(text, ".")
	offset, err := strconv.ParseUint(digits, 16, 32)
	if err != nil || !IsSegmentName(name) || len(digits) != 8 || !isUpperHex(digits) {
		return Mark{}, fmt.Errorf("parse mark in the log %q: want the name of a segment, a point and 8 hexadecimal digits", text)
	}
	return Mark{timeline: name[:8], segment: name[8:], offset: uint32(offset)}, nil
}

// Passed tells whether a segment begins at the mark or behind it.
func (m Mark) Passed(segment string) bool { return m.of(segment) && segment[8:] > m.segment }

// Within is the offset of the mark in a segment, 0 if it lies in another one.
func (m Mark) Within(segment string) uint32 {
	if !m.of(segment) || segment[8:] != m.segment {
		return 0
	}
	return m.offset
}

// of tells whether a segment may be of the log that has the mark.
func (m Mark) of(segment string) bool { return segment[:8] <= m.timeline }
