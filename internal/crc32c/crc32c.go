// Package crc32c computes the CRC-32C (Castagnoli) sums of the backup format.
//
// It owns the running sum, the sum of long runs of zeros without touching
// them (holes of sparse files), the joining of two sums (parts of a file
// summed by different workers) and the sum after a part was replaced (a stored
// file patched by a merge). Values are the finished ones of
// spec/formats.md ("123456789" gives E3069283); the sum of nothing is 0.
//
// A CRC register of 32 bits is a polynomial over GF(2) modulo the Castagnoli
// polynomial, and appending n zero bytes multiplies it by x^(8n). That power
// is found by repeated squaring, so Zeros, Combine and Replace cost O(log n).
package crc32c

import "hash/crc32"

// poly is the Castagnoli polynomial, reflected: bit 31 is the factor of x^0.
const poly = 0x82F63B78

// SelfSummed is the sum of any bytes followed by their own sum, lowest byte
// first. A file that ends so has this sum whatever is in it.
const SelfSummed = 0x48674BC7

var table = crc32.MakeTable(crc32.Castagnoli)

// Update continues crc, the sum of the bytes so far, with p.
func Update(crc uint32, p []byte) uint32 { return crc32.Update(crc, table, p) }

// Sum is the sum of p.
func Sum(p []byte) uint32 { return crc32.Checksum(p, table) }

// Zeros continues crc with n zero bytes; n <= 0 leaves it as it is.
func Zeros(crc uint32, n int64) uint32 {
	if n <= 0 {
		return crc
	}
	return ^mul(power(n), ^crc)
}

// Combine returns the sum of the bytes of a followed by those of b, where a
// and b are sums and lenB is the number of bytes under b.
func Combine(a, b uint32, lenB int64) uint32 {
	if lenB <= 0 {
		return a
	}
	return mul(power(lenB), a) ^ b
}

// Replace returns the sum of some bytes after a part of them was replaced by
// another of the same length. was and is are the sums of the part, after is
// the number of bytes behind it.
func Replace(sum, was, is uint32, after int64) uint32 {
	// Sums are linear but for what the length adds, which cancels out.
	return sum ^ mul(power(after), was^is)
}

// OneByteApart tells whether size bytes whose sum is a can have the sum b after
// one of them was changed. It costs O(size); for a size of some KB a yes means
// so but for one in thousands.
func OneByteApart(a, b uint32, size int64) bool {
	diff := a ^ b
	changes := *table // by each other value of the last byte
	for ; size > 0; size-- {
		for i := 1; i < len(changes); i++ {
			if changes[i] == diff {
				return true
			}
			changes[i] = table[byte(changes[i])] ^ changes[i]>>8 // one byte further ahead
		}
	}
	return false
}

// power is x^(8n) modulo the polynomial.
func power(n int64) uint32 {
	result := uint32(1) << 31       // x^0
	square := uint32(1) << (31 - 8) // x^8
	for ; n > 0; n >>= 1 {
		if n&1 != 0 {
			result = mul(result, square)
		}
		square = mul(square, square)
	}
	return result
}

// mul multiplies two reflected polynomials modulo the polynomial.
func mul(a, b uint32) uint32 {
	var sum uint32
	for ; a != 0; a <<= 1 { // from x^0 upwards
		sum ^= b & -(a >> 31)
		b = b>>1 ^ poly&-(b&1) // b times x
	}
	return sum
}
