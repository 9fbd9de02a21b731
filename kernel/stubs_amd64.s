#include "textflag.h"

// One 16-byte entry for each interrupt vector: it makes every frame look alike
// (an error code or 0, then the vector) and goes on in interruptCommon.

// The pushes are spelled as bytes because they are no frame of the function:
// the linker would add them up over all vectors.
//
// E is a vector for which the processor pushes an error code, V one without.
#define E(n) \
	PCALIGN $16; \
	BYTE $0x68; LONG $(n); \
	JMP ·interruptCommon(SB);
#define V(n) \
	PCALIGN $16; \
	BYTE $0x6A; BYTE $0; \
	BYTE $0x68; LONG $(n); \
	JMP ·interruptCommon(SB);
#define V8(n) V(n) V(n+1) V(n+2) V(n+3) V(n+4) V(n+5) V(n+6) V(n+7)
#define V32(n) V8(n) V8(n+8) V8(n+16) V8(n+24)

TEXT ·stubs(SB), NOSPLIT|NOFRAME, $0
	V(0) V(1) V(2) V(3) V(4) V(5) V(6) V(7)
	E(8) V(9) E(10) E(11) E(12) E(13) E(14) V(15)
	V(16) E(17) V(18) V(19) V(20) E(21) V(22) V(23)
	V(24) V(25) V(26) V(27) V(28) E(29) E(30) V(31)
	V32(32)
	V32(64)
	V32(96)
	V32(128)
	V32(160)
	V32(192)
	V32(224)
