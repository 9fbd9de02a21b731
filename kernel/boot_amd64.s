#include "textflag.h"

// The way from the boot loader's 32-bit protected mode into Go.
//
// PVH (xen/include/public/arch-x86/hvm/start_info.h) enters here with paging
// off, flat segments and the physical address of the start info in EBX. The
// assembler knows only 64-bit code, so this part keeps to instructions whose
// bytes mean the same in both modes. ADDR32 is the exception and the trick: a
// 64-bit LEAL sym(SB) holds the distance from its own end to sym, which 32-bit
// mode reads as a plain number.

#define ADDR32(sym, REG) \
	BYTE $0xE8; LONG $0        \ // call the next instruction
	POPQ BP                    \
	LEAL sym(SB), REG          \
	LEAL 7(BP)(REG*1), REG

// bootArea, aligned up to 4096: six pages of page tables.
#define PML4 0
#define PDPT 4096
#define PD   8192

TEXT ·pvhEntry(SB), NOSPLIT|NOFRAME, $0
	CLI
	CLD
	MOVL $0x8000, SP           // four scratch bytes below 32 KiB, for ADDR32
	ADDR32(·bootArea, DI)
	ADDL $4095, DI
	ANDL $0xFFFFF000, DI

	// One identity map of the first 4 GiB in 2 MiB pages.
	LEAL (PDPT+3)(DI), AX
	MOVL AX, PML4(DI)
	LEAL (PD+3)(DI), AX
	MOVL AX, (PDPT+0)(DI)
	ADDL $4096, AX
	MOVL AX, (PDPT+8)(DI)
	ADDL $4096, AX
	MOVL AX, (PDPT+16)(DI)
	ADDL $4096, AX
	MOVL AX, (PDPT+24)(DI)
	LEAL PD(DI), SI
	MOVL $0x83, AX             // present, writable, 2 MiB
	MOVL $2048, CX
fill:
	MOVL AX, (SI)
	ADDL $8, SI
	ADDL $0x200000, AX
	SUBL $1, CX
	JNE fill

	ADDR32(·bootGDTR, AX)
	LGDT (AX)
	ADDR32(·start64, SI)
	JMP ·enterLong(SB)

// enterLong switches to long mode with the tables at DI and goes on at SI.
TEXT ·enterLong(SB), NOSPLIT|NOFRAME, $0
	BYTE $0x0F; BYTE $0x20; BYTE $0xE0 // mov %cr4, %eax
	ORL $0x20, AX                      // PAE
	BYTE $0x0F; BYTE $0x22; BYTE $0xE0 // mov %eax, %cr4
	BYTE $0x0F; BYTE $0x22; BYTE $0xDF // mov %edi, %cr3
	MOVL $0xC0000080, CX               // EFER: LME, NXE, SCE
	RDMSR
	ORL $0x901, AX
	WRMSR
	BYTE $0x0F; BYTE $0x20; BYTE $0xC0 // mov %cr0, %eax
	ANDL $0x9FFFFFF3, AX               // caches on; no EM, no TS
	ORL $0x80010023, AX                // PG, WP, NE, MP, PE
	BYTE $0x0F; BYTE $0x22; BYTE $0xC0 // mov %eax, %cr0
	MOVL $0x8, AX
	PUSHQ AX
	PUSHQ SI
	BYTE $0xCB                         // lret to 64-bit code at SI

// start64 runs on the boot processor: EBX is the start info, EDI the tables.
TEXT ·start64(SB), NOSPLIT|NOFRAME, $0
	MOVL $0x10, AX
	BYTE $0x8E; BYTE $0xD8             // mov %ax, %ds
	BYTE $0x8E; BYTE $0xC0             // mov %ax, %es
	BYTE $0x8E; BYTE $0xD0             // mov %ax, %ss
	MOVL BX, BX
	LEAQ ·bootArea(SB), SP
	ADDQ $(16*4096), SP
	ANDQ $~15, SP
	CALL ·setG(SB)
	SUBQ $32, SP
	MOVQ BX, 0(SP)
	CALL ·boot(SB)
	JMP ·resume(SB)

// setG gives the processor the state that compiled Go code expects: SSE on,
// a g whose stack never ends at -8(FS) and in R14, and zero in X15.
TEXT ·setG(SB), NOSPLIT|NOFRAME, $0
	MOVQ CR4, AX
	ORQ $0x600, AX                     // OSFXSR, OSXMMEXCPT
	MOVQ AX, CR4
	LEAQ ·kernelTLS+8(SB), AX
	MOVQ AX, DX
	SHRQ $32, DX
	MOVL $0xC0000100, CX               // FS base
	WRMSR
	LEAQ ·kernelG(SB), R14
	MOVQ R14, ·kernelTLS(SB)
	XORPS X15, X15
	RET

// enterGo is where a fresh program starts: Go's own entry point.
TEXT ·programEntry(SB), NOSPLIT, $0-8
	MOVQ $_rt0_amd64_linux(SB), AX
	MOVQ AX, ret+0(FP)
	RET

TEXT ·pvhAddress(SB), NOSPLIT, $0-8
	LEAQ ·pvhEntry(SB), AX
	MOVQ AX, ret+0(FP)
	RET

TEXT ·imageText(SB), NOSPLIT, $0-8
	LEAQ runtime·text(SB), AX
	MOVQ AX, ret+0(FP)
	RET

TEXT ·imageEnd(SB), NOSPLIT, $0-8
	LEAQ runtime·end(SB), AX
	MOVQ AX, ret+0(FP)
	RET

// The first descriptor table: null, 64-bit code, data.
DATA ·bootGDT+0(SB)/8, $0
DATA ·bootGDT+8(SB)/8, $0x00AF9B000000FFFF
DATA ·bootGDT+16(SB)/8, $0x00CF93000000FFFF
GLOBL ·bootGDT(SB), NOPTR, $24
DATA ·bootGDTR+0(SB)/2, $23
DATA ·bootGDTR+2(SB)/8, $·bootGDT(SB)
GLOBL ·bootGDTR(SB), NOPTR, $16

// The other processors start in real mode at a page below 1 MiB, to which
// smp_amd64.go copies this code. It must not depend on where it lies, so the
// page's head holds what it needs (offsets from the page, in DS/CS << 4):
//
//	0x00  jmp to 0x40
//	0x08  GDTR for 16-bit lgdt: limit 23, base = page+0x10
//	0x10  null, 64-bit code, data, 32-bit code (selectors 8, 16, 24)
//	0x30  far pointer page+0x80 : 24
//	0x38  physical address of the page tables
//	0x40  16-bit code; 0x80  32-bit code; 0xC0  64-bit entry address
TEXT ·trampoline(SB), NOSPLIT|NOFRAME, $0
	BYTE $0xEB; BYTE $0x3E             // 0x00: jmp 0x40
	LONG $0; WORD $0
	// 0x08
	WORD $31; LONG $0; WORD $0
	// 0x10
	QUAD $0
	QUAD $0x00AF9B000000FFFF
	QUAD $0x00CF93000000FFFF
	QUAD $0x00CF9B000000FFFF
	// 0x30
	LONG $0; WORD $24; WORD $0
	// 0x38
	QUAD $0
	// 0x40: 16-bit
	BYTE $0xFA                         // cli
	BYTE $0xFC                         // cld
	BYTE $0x8C; BYTE $0xC8             // mov %cs, %ax
	BYTE $0x8E; BYTE $0xD8             // mov %ax, %ds
	BYTE $0x66; BYTE $0x0F; BYTE $0x01; BYTE $0x16; WORD $0x08 // lgdtl 0x08
	BYTE $0x0F; BYTE $0x20; BYTE $0xC0 // mov %cr0, %eax
	BYTE $0x66; BYTE $0x83; BYTE $0xC8; BYTE $0x01 // or $1, %eax
	BYTE $0x0F; BYTE $0x22; BYTE $0xC0 // mov %eax, %cr0
	BYTE $0x66; BYTE $0xFF; BYTE $0x2E; WORD $0x30 // ljmpl *0x30
	// 27 bytes so far; pad to 0x80
	BYTE $0x90
	QUAD $0x9090909090909090; QUAD $0x9090909090909090; QUAD $0x9090909090909090; QUAD $0x9090909090909090
	LONG $0x90909090
	// 0x80: 32-bit; EBP = page, found from the far pointer's own value in ESI
	BYTE $0x66; BYTE $0xB8; WORD $0x10 // mov $0x10, %ax
	BYTE $0x8E; BYTE $0xD8             // mov %ax, %ds
	BYTE $0x8E; BYTE $0xC0             // mov %ax, %es
	BYTE $0x8E; BYTE $0xD0             // mov %ax, %ss
	BYTE $0xBD; LONG $0                // 0x8A: mov $page, %ebp (patched at 0x8B)
	BYTE $0x8B; BYTE $0x7D; BYTE $0x38 // mov 0x38(%ebp), %edi
	BYTE $0x8D; BYTE $0xA5; LONG $0x1000 // lea 0x1000(%ebp), %esp
	BYTE $0x8B; BYTE $0xB5; LONG $0xC0 // mov 0xC0(%ebp), %esi
	BYTE $0xB8; LONG $0                // 0x9E: mov $enterLong, %eax (patched at 0x9F)
	BYTE $0xFF; BYTE $0xE0             // jmp *%eax
	BYTE $0x90; WORD $0x9090; QUAD $0x9090909090909090; QUAD $0x9090909090909090; QUAD $0x9090909090909090
	// 0xC0
	QUAD $0
	RET

// func trampolineCode() (code, enterLong, apEntry uintptr)
TEXT ·trampolineCode(SB), NOSPLIT, $0-24
	LEAQ ·trampoline(SB), AX
	MOVQ AX, code+0(FP)
	LEAQ ·enterLong(SB), AX
	MOVQ AX, enterLong+8(FP)
	LEAQ ·apStart(SB), AX
	MOVQ AX, apEntry+16(FP)
	RET

// apStart: a further processor in 64-bit mode; its stack waits in apStack.
TEXT ·apStart(SB), NOSPLIT|NOFRAME, $0
	MOVL $0x10, AX
	BYTE $0x8E; BYTE $0xD8             // mov %ax, %ds
	BYTE $0x8E; BYTE $0xC0             // mov %ax, %es
	BYTE $0x8E; BYTE $0xD0             // mov %ax, %ss
	MOVQ ·apStack(SB), SP
	CALL ·setG(SB)
	CALL ·apMain(SB)
	JMP ·resume(SB)
