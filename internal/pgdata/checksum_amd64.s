#include "textflag.h"

// func sumRowsAVX2(b *byte, rows int, start *[32]uint32, mask *[8]uint32) uint32
//
// Y0..Y3 hold the 32 lanes, Y8 the prime eight times. One row:
//   t = h ^ row; h = t*prime ^ t>>17
// The four registers are independent of one another, which hides most of the
// latency of the multiplication. rows must be at least 1; the mask applies to
// the first 32 bytes of the first row only.
// Reads exactly rows*128 bytes, unaligned. See checksum.go for the algorithm.
#define ROUND(H, T) \
	VPSRLD  $17, H, T \
	VPMULLD Y8, H, H  \
	VPXOR   T, H, H

TEXT ·sumRowsAVX2(SB), NOSPLIT, $0-36
	MOVQ b+0(FP), SI
	MOVQ rows+8(FP), CX
	MOVQ start+16(FP), DX
	MOVQ mask+24(FP), BX

	MOVL         $16777619, AX
	VMOVD        AX, X8
	VPBROADCASTD X8, Y8

	VMOVDQU (DX), Y0
	VMOVDQU 32(DX), Y1
	VMOVDQU 64(DX), Y2
	VMOVDQU 96(DX), Y3
	VMOVDQU (BX), Y9

	// First row, masked.
	VPAND (SI), Y9, Y9
	VPXOR Y9, Y0, Y0
	JMP   rest

row:
	VPXOR (SI), Y0, Y0

rest:
	VPXOR 32(SI), Y1, Y1
	VPXOR 64(SI), Y2, Y2
	VPXOR 96(SI), Y3, Y3
	ROUND(Y0, Y4)
	ROUND(Y1, Y5)
	ROUND(Y2, Y6)
	ROUND(Y3, Y7)
	ADDQ  $128, SI
	DECQ  CX
	JNZ   row

	// Two rounds with zero.
	ROUND(Y0, Y4)
	ROUND(Y1, Y5)
	ROUND(Y2, Y6)
	ROUND(Y3, Y7)
	ROUND(Y0, Y4)
	ROUND(Y1, Y5)
	ROUND(Y2, Y6)
	ROUND(Y3, Y7)

	// Xor of all lanes.
	VPXOR        Y1, Y0, Y0
	VPXOR        Y3, Y2, Y2
	VPXOR        Y2, Y0, Y0
	VEXTRACTI128 $1, Y0, X1
	VPXOR        X1, X0, X0
	VPSHUFD      $0x4E, X0, X1
	VPXOR        X1, X0, X0
	VPSHUFD      $0xB1, X0, X1
	VPXOR        X1, X0, X0
	VMOVD        X0, AX
	VZEROUPPER
	MOVL         AX, ret+32(FP)
	RET
