package pgdata

import "golang.org/x/sys/cpu"

// sumRowsAVX2 does what sumRowsGo does for rows*128 bytes at b.
//
//go:noescape
func sumRowsAVX2(b *byte, rows int, start *[sumLanes]uint32, mask *rowMask) uint32

// sumRows is the checksum of whole rows; bytes behind the last whole row are
// not looked at.
func sumRows(b []byte, mask *rowMask) uint32 {
	if !cpu.X86.HasAVX2 || len(b) < sumRow {
		return sumRowsGo(b, mask)
	}
	start := laneStart()
	return sumRowsAVX2(&b[0], len(b)/sumRow, &start, mask)
}
