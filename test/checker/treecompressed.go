package checker

import (
	"encoding/binary"
	"fmt"
	"io"
)

const (
	extentBlocks = 128
	extentBytes  = (extentBlocks + 1) * blockSize
)

// makeCompressed rebuilds a row-compressed relation extent by extent (§7.8).
func (t *tree) makeCompressed(e *entry, out io.Writer) error {
	var x *extent
	block := uint32(0)
	err := t.makePages(e, func(page []byte) error {
		if x == nil {
			x = newExtent(e)
		}
		if err := x.add(page, uint32(e.segno)*130048+block); err != nil {
			return err
		}
		block++
		if block%extentBlocks != 0 {
			return nil
		}
		_, err := out.Write(x.finish())
		x = nil
		return err
	})
	if err == nil && x != nil {
		_, err = out.Write(x.finish())
	}
	return err
}

// extent is 128 blocks of chunk space and the header page under construction.
type extent struct {
	bytes     []byte
	chunkSize int
	blocks    int
	chunks    int // handed out
}

func newExtent(e *entry) *extent {
	x := &extent{bytes: make([]byte, extentBytes), chunkSize: int(e.chunkSize)}
	head := x.header()
	binary.LittleEndian.PutUint16(head[8:], uint16(e.chunkSize))
	head[10] = byte(e.chunkAlg) | 0x80
	return x
}

func (x *extent) header() []byte { return x.bytes[extentBlocks*blockSize:] }

// add puts a block into the next free chunks and fills its address record.
func (x *extent) add(image []byte, absolute uint32) error {
	page := append([]byte(nil), image...)
	page[13] &= 0x7F
	size := rowCompressedSize(page)
	if size == 0 {
		size = blockSize
		if !zero(page) && checksum(page, absolute, true) != binary.LittleEndian.Uint16(page[8:]) {
			return fmt.Errorf("block %d is neither a compressed block nor a raw page", absolute)
		}
	}
	need := (size + x.chunkSize - 1) / x.chunkSize
	copy(x.bytes[x.chunks*x.chunkSize:], page[:size])

	recordSize := 6 + 2*(blockSize/x.chunkSize)
	record := x.header()[12+x.blocks*recordSize:][:recordSize]
	record[4], record[5] = byte(need), byte(need)
	for i := range need {
		binary.LittleEndian.PutUint16(record[6+2*i:], uint16(x.chunks+i+1))
	}
	covered := append(append([]byte(nil), record[4:6+2*need]...), 0, 0, 0)
	sum := uint32(0)
	for i := 0; i+4 <= len(covered); i += 4 {
		sum += binary.LittleEndian.Uint32(covered[i:])
	}
	binary.LittleEndian.PutUint32(record, sum)
	x.chunks += need
	x.blocks++
	return nil
}

func (x *extent) finish() []byte {
	binary.LittleEndian.PutUint32(x.header(), uint32(x.blocks))
	binary.LittleEndian.PutUint32(x.header()[4:], uint32(x.chunks))
	return x.bytes
}

// rowCompressedSize is the length of a compressed block with its headers, 0 if
// the image is not one.
func rowCompressedSize(page []byte) int {
	le := binary.LittleEndian
	header := map[uint16]int{5: 24, 6: 40, 7: 56}[le.Uint16(page[18:])&0xFF]
	if header == 0 {
		return 0
	}
	size := int(le.Uint16(page[header+4:]))
	alg := le.Uint16(page[header+6:]) >> 2 & 0xF
	end := header + 8 + size
	if size >= 1 && end <= blockSize && alg >= 1 && alg <= 3 && zero(page[end:]) && fnv(page[header+8:end]) == le.Uint32(page[header:]) {
		return end
	}
	return 0
}
