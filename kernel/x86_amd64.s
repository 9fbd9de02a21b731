#include "textflag.h"

// Instructions that Go has no words for.

TEXT ·in8(SB), NOSPLIT, $0-9
	MOVW port+0(FP), DX
	BYTE $0xEC // inb (%dx), %al
	MOVB AX, ret+8(FP)
	RET

TEXT ·in16(SB), NOSPLIT, $0-10
	MOVW port+0(FP), DX
	BYTE $0x66; BYTE $0xED // inw (%dx), %ax
	MOVW AX, ret+8(FP)
	RET

TEXT ·in32(SB), NOSPLIT, $0-12
	MOVW port+0(FP), DX
	BYTE $0xED // inl (%dx), %eax
	MOVL AX, ret+8(FP)
	RET

TEXT ·out8(SB), NOSPLIT, $0-3
	MOVW port+0(FP), DX
	MOVB v+2(FP), AX
	BYTE $0xEE // outb %al, (%dx)
	RET

TEXT ·out16(SB), NOSPLIT, $0-4
	MOVW port+0(FP), DX
	MOVW v+2(FP), AX
	BYTE $0x66; BYTE $0xEF // outw %ax, (%dx)
	RET

TEXT ·out32(SB), NOSPLIT, $0-8
	MOVW port+0(FP), DX
	MOVL v+4(FP), AX
	BYTE $0xEF // outl %eax, (%dx)
	RET

TEXT ·readMSR(SB), NOSPLIT, $0-16
	MOVL msr+0(FP), CX
	RDMSR
	SHLQ $32, DX
	ORQ DX, AX
	MOVQ AX, ret+8(FP)
	RET

TEXT ·writeMSR(SB), NOSPLIT, $0-16
	MOVL msr+0(FP), CX
	MOVQ v+8(FP), AX
	MOVQ AX, DX
	SHRQ $32, DX
	WRMSR
	RET

TEXT ·cpuid(SB), NOSPLIT, $0-24
	MOVL leaf+0(FP), AX
	MOVL sub+4(FP), CX
	CPUID
	MOVL AX, a+8(FP)
	MOVL BX, b+12(FP)
	MOVL CX, c+16(FP)
	MOVL DX, d+20(FP)
	RET

TEXT ·rdtsc(SB), NOSPLIT, $0-8
	LFENCE
	RDTSC
	SHLQ $32, DX
	ORQ DX, AX
	MOVQ AX, ret+0(FP)
	RET

// func rdrand() (v uint64, ok bool): CF tells whether the value is random.
TEXT ·rdrand(SB), NOSPLIT, $0-9
	BYTE $0x48; BYTE $0x0F; BYTE $0xC7; BYTE $0xF0 // rdrand %rax
	SETCS ok+8(FP)
	MOVQ AX, v+0(FP)
	RET

TEXT ·readCR2(SB), NOSPLIT, $0-8
	MOVQ CR2, AX
	MOVQ AX, ret+0(FP)
	RET

TEXT ·readCR3(SB), NOSPLIT, $0-8
	MOVQ CR3, AX
	MOVQ AX, ret+0(FP)
	RET

TEXT ·writeCR3(SB), NOSPLIT, $0-8
	MOVQ v+0(FP), AX
	MOVQ AX, CR3
	RET

TEXT ·readCR4(SB), NOSPLIT, $0-8
	MOVQ CR4, AX
	MOVQ AX, ret+0(FP)
	RET

TEXT ·writeCR4(SB), NOSPLIT, $0-8
	MOVQ v+0(FP), AX
	MOVQ AX, CR4
	RET

TEXT ·invlpg(SB), NOSPLIT, $0-8
	MOVQ va+0(FP), AX
	INVLPG (AX)
	RET

TEXT ·xsetbv(SB), NOSPLIT, $0-8
	MOVQ v+0(FP), AX
	MOVQ AX, DX
	SHRQ $32, DX
	XORL CX, CX
	BYTE $0x0F; BYTE $0x01; BYTE $0xD1 // xsetbv
	RET

TEXT ·loadTables(SB), NOSPLIT, $0-18
	MOVQ gdtr+0(FP), AX
	LGDT (AX)
	MOVQ idtr+8(FP), AX
	LIDT (AX)
	MOVL $0x10, AX
	BYTE $0x8E; BYTE $0xD8 // mov %ax, %ds
	BYTE $0x8E; BYTE $0xC0 // mov %ax, %es
	BYTE $0x8E; BYTE $0xD0 // mov %ax, %ss
	MOVW tss+16(FP), AX
	BYTE $0x0F; BYTE $0x00; BYTE $0xD8 // ltr %ax
	RET

TEXT ·pause(SB), NOSPLIT, $0-0
	PAUSE
	RET

TEXT ·fence(SB), NOSPLIT, $0-0
	MFENCE
	LFENCE
	RET

TEXT ·halt(SB), NOSPLIT, $0-0
	CLI
	HLT
	RET

// func zero(p, n uintptr): n bytes, a multiple of 8.
TEXT ·zero(SB), NOSPLIT, $0-16
	MOVQ p+0(FP), DI
	MOVQ n+8(FP), CX
	SHRQ $3, CX
	XORL AX, AX
	CLD
	REP; STOSQ
	RET

// func move(to, from, n uintptr)
TEXT ·move(SB), NOSPLIT, $0-24
	MOVQ to+0(FP), DI
	MOVQ from+8(FP), SI
	MOVQ n+16(FP), CX
	CLD
	REP; MOVSB
	RET

TEXT ·load32(SB), NOSPLIT, $0-12
	MOVQ a+0(FP), AX
	MOVL (AX), AX
	MOVL AX, ret+8(FP)
	RET

TEXT ·store32(SB), NOSPLIT, $0-12
	MOVQ a+0(FP), AX
	MOVL v+8(FP), CX
	MOVL CX, (AX)
	RET

TEXT ·framePointer(SB), NOSPLIT|NOFRAME, $0-8
	MOVQ BP, ret+0(FP)
	RET
