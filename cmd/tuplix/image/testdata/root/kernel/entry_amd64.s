#include "textflag.h"

DATA ·entry(SB)/8, $·pvhEntry(SB)
GLOBL ·entry(SB), NOPTR, $8

// out writes one character to the debug console at port 0xe9.
#define PUT(c) BYTE $0xb0; BYTE $c; BYTE $0xe6; BYTE $0xe9

// 32-bit code, paging off.
TEXT ·pvhEntry(SB), NOSPLIT|NOFRAME, $0
	PUT(0x65)
	PUT(0x78)
	PUT(0x69)
	PUT(0x74)
	PUT(0x20)
	PUT(0x37)
	PUT(0x0a)
	BYTE $0x66; BYTE $0xba; BYTE $0x04; BYTE $0x06 // mov dx, 0x604: PM1a_CNT of the q35
	BYTE $0x66; BYTE $0xb8; BYTE $0x00; BYTE $0x20 // mov ax, 0x2000: SLP_EN, S5
	BYTE $0x66; BYTE $0xef // out dx, ax
	BYTE $0xf4 // hlt
	BYTE $0xeb; BYTE $0xfd // back to hlt
