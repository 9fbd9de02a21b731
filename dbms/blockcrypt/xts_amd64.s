#include "textflag.h"

// AES-256 in XTS mode (IEEE Std 1619-2018, section 5) with the processor's AES
// instructions, for data units of 512 bytes, which are 32 blocks of 16:
//
//	T[0]   = AES(key 2, number of the unit as 16 bytes, the lowest first)
//	T[j+1] = T[j] * x
//	C[j]   = AES(key 1, P[j] xor T[j]) xor T[j]
//
// and the same with the inverse of AES to decrypt. Since the units are a whole
// number of blocks, there is no stealing of ciphertext.
//
// T[j] is a polynomial over the field of two elements modulo
// x^128 + x^7 + x^2 + x + 1, bit i of the little-endian number being the
// coefficient of x^i. So to multiply by x is to shift left by one and, if a bit
// falls out at the top, to xor 0x87. SSE shifts its two halves of 64 bits
// separately: what falls out of the lower half is xored into the upper one.
//
//	PSHUFD     dwords [3 0 1 0] of T: the tops of the halves come to 0 and 2
//	PSRAL 31   each dword becomes its top bit, 32 times
//	PAND       with [0x87 0 1 0]: what is to be xored
//
// An AES round takes several cycles, and the processor starts one or two in each.
// Hence eight blocks go through the rounds together, X0 to X7; a unit is four
// times eight. Their tweaks wait on the stack. The tweak of the next unit depends
// on nothing before it, so the processor computes it meanwhile by itself.
//
// Neither branches nor addresses depend on keys or data, so the time does not.
//
//	DI  to            X0-X7  blocks
//	SI  from          X8     tweak
//	CX  units left    X9     round key, or scratch
//	DX  unit number   X10    [0x87 0 1 0]
//	BX  eights left of the unit
//	R8  round keys of the data
//	R9  round keys of the tweaks

#define SCHEDULE_INVERSE 240
#define SCHEDULE_TWEAK   480
#define EIGHT            (8*16) // also the frames below

// One round key and one instruction for the tweak, and for eight blocks.
#define ONE(AES, i) \
	MOVOU (i*16)(R9), X9; \
	AES   X9, X8

#define ALL(AES, i) \
	MOVOU (i*16)(R8), X9; \
	AES   X9, X0; \
	AES   X9, X1; \
	AES   X9, X2; \
	AES   X9, X3; \
	AES   X9, X4; \
	AES   X9, X5; \
	AES   X9, X6; \
	AES   X9, X7

// X8 = the first tweak of unit DX.
#define FIRST_TWEAK \
	MOVQ DX, X8; \
	ONE(PXOR, 0); \
	ONE(AESENC, 1); \
	ONE(AESENC, 2); \
	ONE(AESENC, 3); \
	ONE(AESENC, 4); \
	ONE(AESENC, 5); \
	ONE(AESENC, 6); \
	ONE(AESENC, 7); \
	ONE(AESENC, 8); \
	ONE(AESENC, 9); \
	ONE(AESENC, 10); \
	ONE(AESENC, 11); \
	ONE(AESENC, 12); \
	ONE(AESENC, 13); \
	ONE(AESENCLAST, 14)

// Block i of the eight with its tweak, and the tweak of the next one.
#define LOAD(i, X) \
	MOVOU  (i*16)(SI), X; \
	MOVOU  X8, (i*16)(SP); \
	PXOR   X8, X; \
	PSHUFD $0x13, X8, X9; \
	PSRAL  $31, X9; \
	PAND   X10, X9; \
	PADDQ  X8, X8; \
	PXOR   X9, X8

#define LOAD_ALL \
	LOAD(0, X0); \
	LOAD(1, X1); \
	LOAD(2, X2); \
	LOAD(3, X3); \
	LOAD(4, X4); \
	LOAD(5, X5); \
	LOAD(6, X6); \
	LOAD(7, X7)

#define ROUNDS(AES, LAST) \
	ALL(PXOR, 0); \
	ALL(AES, 1); \
	ALL(AES, 2); \
	ALL(AES, 3); \
	ALL(AES, 4); \
	ALL(AES, 5); \
	ALL(AES, 6); \
	ALL(AES, 7); \
	ALL(AES, 8); \
	ALL(AES, 9); \
	ALL(AES, 10); \
	ALL(AES, 11); \
	ALL(AES, 12); \
	ALL(AES, 13); \
	ALL(LAST, 14)

#define STORE(i, X) \
	MOVOU (i*16)(SP), X9; \
	PXOR  X9, X; \
	MOVOU X, (i*16)(DI)

#define STORE_ALL \
	STORE(0, X0); \
	STORE(1, X1); \
	STORE(2, X2); \
	STORE(3, X3); \
	STORE(4, X4); \
	STORE(5, X5); \
	STORE(6, X6); \
	STORE(7, X7)

DATA carry<>+0(SB)/8, $0x87
DATA carry<>+8(SB)/8, $1
GLOBL carry<>(SB), RODATA|NOPTR, $16

// func encryptUnits(to, from *byte, n int, first uint64, keys *schedule)
TEXT ·encryptUnits(SB), NOSPLIT, $128-40
	MOVQ  to+0(FP), DI
	MOVQ  from+8(FP), SI
	MOVQ  n+16(FP), CX
	MOVQ  first+24(FP), DX
	MOVQ  keys+32(FP), R8
	LEAQ  SCHEDULE_TWEAK(R8), R9
	MOVOU carry<>(SB), X10

unit:
	FIRST_TWEAK
	MOVQ $4, BX

eight:
	LOAD_ALL
	ROUNDS(AESENC, AESENCLAST)
	STORE_ALL
	ADDQ $EIGHT, SI
	ADDQ $EIGHT, DI
	DECQ BX
	JNZ  eight
	INCQ DX
	DECQ CX
	JNZ  unit
	RET

// func decryptUnits(to, from *byte, n int, first uint64, keys *schedule)
TEXT ·decryptUnits(SB), NOSPLIT, $128-40
	MOVQ  to+0(FP), DI
	MOVQ  from+8(FP), SI
	MOVQ  n+16(FP), CX
	MOVQ  first+24(FP), DX
	MOVQ  keys+32(FP), R8
	LEAQ  SCHEDULE_TWEAK(R8), R9
	ADDQ  $SCHEDULE_INVERSE, R8
	MOVOU carry<>(SB), X10

unit:
	FIRST_TWEAK
	MOVQ $4, BX

eight:
	LOAD_ALL
	ROUNDS(AESDEC, AESDECLAST)
	STORE_ALL
	ADDQ $EIGHT, SI
	ADDQ $EIGHT, DI
	DECQ BX
	JNZ  eight
	INCQ DX
	DECQ CX
	JNZ  unit
	RET

// The expansion of the key (FIPS 197, section 5.2), by two round keys at a time,
// X1 and X2. Each word of a round key is the one eight words before it xor its
// left neighbour; SUMS makes the neighbours at once. The first word has in place
// of a neighbour the last one before it, substituted, every second time rotated
// and with a constant. AESKEYGENASSIST computes both for the word that PSHUFD
// then puts into all four places.
#define SUMS(X) \
	MOVO  X, X4; \
	PSLLO $4, X4; \
	PXOR  X4, X; \
	PSLLO $4, X4; \
	PXOR  X4, X; \
	PSLLO $4, X4; \
	PXOR  X4, X

#define EVEN(i, constant) \
	AESKEYGENASSIST $constant, X2, X3; \
	PSHUFD          $0xff, X3, X3; \
	SUMS(X1); \
	PXOR            X3, X1; \
	MOVOU           X1, (i*16)(DI)

#define ODD(i) \
	AESKEYGENASSIST $0, X1, X3; \
	PSHUFD          $0xaa, X3, X3; \
	SUMS(X2); \
	PXOR            X3, X2; \
	MOVOU           X2, (i*16)(DI)

// func expandKey(key *[keyBytes]byte, keys *roundKeys)
TEXT ·expandKey(SB), NOSPLIT, $0-16
	MOVQ  key+0(FP), SI
	MOVQ  keys+8(FP), DI
	MOVOU 0(SI), X1
	MOVOU 16(SI), X2
	MOVOU X1, 0(DI)
	MOVOU X2, 16(DI)
	EVEN(2, 0x01)
	ODD(3)
	EVEN(4, 0x02)
	ODD(5)
	EVEN(6, 0x04)
	ODD(7)
	EVEN(8, 0x08)
	ODD(9)
	EVEN(10, 0x10)
	ODD(11)
	EVEN(12, 0x20)
	ODD(13)
	EVEN(14, 0x40)
	RET

// func invertKey(keys, inverse *roundKeys)
//
// The inverse cipher of AESDEC takes the round keys backwards, those in the
// middle through AESIMC.
TEXT ·invertKey(SB), NOSPLIT, $0-16
	MOVQ  keys+0(FP), SI
	MOVQ  inverse+8(FP), DI
	MOVOU (14*16)(SI), X1
	MOVOU X1, (DI)
	MOVQ  $13, CX
	ADDQ  $(13*16), SI

next:
	ADDQ   $16, DI
	MOVOU  (SI), X1
	AESIMC X1, X1
	MOVOU  X1, (DI)
	SUBQ   $16, SI
	DECQ   CX
	JNZ    next
	MOVOU  (SI), X1
	MOVOU  X1, 16(DI)
	RET
