#include "textflag.h"

// func stackBounds() (lo, hi uintptr): g begins with its stack's bounds.
TEXT ·stackBounds(SB),NOSPLIT,$0-16
	MOVQ (TLS), CX
	MOVQ 0(CX), AX
	MOVQ AX, lo+0(FP)
	MOVQ 8(CX), AX
	MOVQ AX, hi+8(FP)
	RET
