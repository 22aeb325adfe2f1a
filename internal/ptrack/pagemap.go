// Package ptrack answers which blocks of a relation changed.
//
// It owns the PageMap bitmap and, later, the sources that fill it: CBM of
// openGauss, WAL summaries of PostgreSQL 17, a page-LSN scan. It leaves
// reading pages to remote and choosing the parent backup to internal/backup.
package ptrack

import "math/bits"

// PageMap is a bitmap of block numbers inside one segment file
// (spec/formats.md §11.5): bit block%8 of byte block/8, least significant
// first. A nil *PageMap means "every block".
type PageMap struct {
	bits []byte
}

// Add marks a block.
func (m *PageMap) Add(block uint32) {
	i := int(block / 8)
	if i >= len(m.bits) {
		grown := make([]byte, i+1, i+1+10)
		copy(grown, m.bits)
		m.bits = grown
	}
	m.bits[i] |= 1 << (block % 8)
}

// Has tells whether a block is marked; a nil map has every block.
func (m *PageMap) Has(block uint32) bool {
	if m == nil {
		return true
	}
	i := int(block / 8)
	return i < len(m.bits) && m.bits[i]&(1<<(block%8)) != 0
}

// Count is the number of marked blocks; 0 for a nil map.
func (m *PageMap) Count() int {
	if m == nil {
		return 0
	}
	n := 0
	for _, b := range m.bits {
		n += bits.OnesCount8(b)
	}
	return n
}
