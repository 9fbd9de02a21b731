#include "textflag.h"

// func trapCall(nr, a0, a1, a2, a3 uintptr) uintptr: a system call by the instruction for
// it, as an assembly function of a program's own makes one.
TEXT ·trapCall(SB), NOSPLIT, $0-48
	MOVQ nr+0(FP), AX
	MOVQ a0+8(FP), DI
	MOVQ a1+16(FP), SI
	MOVQ a2+24(FP), DX
	MOVQ a3+32(FP), R10
	SYSCALL
	MOVQ AX, ret+40(FP)
	RET
