package ptrack

import "math/bits"

// PageMap is a bitmap of block numbers inside one segment file
// (spec/formats.md §11.5): bit block%8 of byte block/8, least significant
// first. A nil *PageMap means "every block".
type PageMap struct {
	bits []byte
}

// NewPageMap returns an empty map with room for blocks 0 to n-1.
func NewPageMap(n uint32) *PageMap {
	return &PageMap{bits: make([]byte, (uint64(n)+7)/8)}
}

// Add marks a block.
func (m *PageMap) Add(block uint32) {
	i := int(block / 8)
	if i >= len(m.bits) {
		m.bits = append(m.bits, make([]byte, i+1-len(m.bits))...)
	}
	m.bits[i] |= 1 << (block % 8)
}

// addFrom marks blocks from to n-1.
func (m *PageMap) addFrom(from, n uint32) {
	for ; from < n && from%8 != 0; from++ {
		m.Add(from)
	}
	for ; from < n && n-from >= 8; from += 8 {
		m.bits[from/8] = 0xFF
	}
	for ; from < n; from++ {
		m.Add(from)
	}
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
