package blockfile

import (
	"encoding/binary"
	"fmt"

	"gsprobackup/internal/compress"
)

// PutFrameHeader writes the 8-byte header of a frame into dst[:8].
func PutFrameHeader(dst []byte, block uint32, size int) {
	binary.LittleEndian.PutUint32(dst, block)
	binary.LittleEndian.PutUint32(dst[4:], uint32(size))
}

// FrameHeader reads the 8-byte header at the start of b. size is not checked.
func FrameHeader(b []byte) (block uint32, size int32) {
	return binary.LittleEndian.Uint32(b), int32(binary.LittleEndian.Uint32(b[4:]))
}

// AppendFrame appends a frame with the given payload (1..8192 bytes).
func AppendFrame(dst []byte, block uint32, payload []byte) []byte {
	var h [FrameHeaderSize]byte
	PutFrameHeader(h[:], block, len(payload))
	return append(append(dst, h[:]...), payload...)
}

// Decode fills page (8192 bytes) from the payload of a frame. A payload of
// 8192 bytes is a raw page whatever the file's algorithm; codec may be nil for
// files stored with algorithm none.
func Decode(codec compress.Codec, page, payload []byte) error {
	if len(page) != PageSize {
		return fmt.Errorf("decode page: buffer of %d bytes", len(page))
	}
	if len(payload) == PageSize {
		copy(page, payload)
		return nil
	}
	if codec == nil {
		return fmt.Errorf("decode page: compressed payload of %d bytes in an uncompressed file", len(payload))
	}
	if err := codec.Decompress(page, payload); err != nil {
		return fmt.Errorf("decode page: %w", err)
	}
	return nil
}
