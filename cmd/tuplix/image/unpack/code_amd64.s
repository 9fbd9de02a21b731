#include "textflag.h"

// The code at the head of a compressed image: one function, so that its jumps
// hold wherever the bytes of it lie. Layout (layout.go) puts it at the start of
// a page, with the table in the next page and page tables behind. The constants
// are those of layout.go.
#define CODE_SIZE  4096
#define TABLES     (CODE_SIZE+4096)

#define PAYLOAD    0x00(R12)
#define LENGTH     0x08(R12)
#define LINUX      0x18(R12)
#define TABLE      0x20(R12)
#define SEGMENTS   0x100
#define MESSAGE    0xC0
#define MESSAGELEN 0x28(R12)

// In the 32-bit code the table is at SI.
#define ENTRY32    0x10(SI)
#define GDTR32     0x30(SI)
#define SAVED_BX   0x40(SI)
#define SAVED_CR0  0x44(SI)
#define SAVED_CR4  0x48(SI)

// A segment.
#define ADDRESS    0(R14)
#define FILESIZE   8(R14)
#define MEMSIZE    16(R14)
#define PROTECTION 24(R14)
#define SEGSIZE    32

#define CHUNK      (1<<20)

TEXT ·code(SB), NOSPLIT|NOFRAME, $0
	JMP pvh                            // 0: a boot loader's entry
	PCALIGN $16
	JMP linux                          // 16: the entry of a Linux process
	PCALIGN $16
	JMP decode                         // 32: the decoder alone, for tests

// 32-bit protected mode, paging off, EBX the start info. As in package kernel's
// boot_amd64.s, only instructions whose bytes mean the same in both modes.
pvh:
	CLI
	CLD
	MOVL $0x8000, SP                   // four scratch bytes below 32 KiB
	BYTE $0xE8; LONG $0                // call the next instruction
	POPQ SI
	ANDL $0xFFFFF000, SI
	ADDL $CODE_SIZE, SI
	LEAL 4096(SI), SP                  // the stack is the end of the table's page
	MOVL BX, SAVED_BX
	BYTE $0x0F; BYTE $0x20; BYTE $0xC0 // mov %cr0, %eax
	MOVL AX, SAVED_CR0
	BYTE $0x0F; BYTE $0x20; BYTE $0xE0 // mov %cr4, %eax
	MOVL AX, SAVED_CR4
	ORL $0x620, AX                     // PAE, OSFXSR, OSXMMEXCPT
	BYTE $0x0F; BYTE $0x22; BYTE $0xE0 // mov %eax, %cr4
	LEAL 4096(SI), AX
	BYTE $0x0F; BYTE $0x22; BYTE $0xD8 // mov %eax, %cr3
	MOVL $0xC0000080, CX               // EFER: LME
	RDMSR
	ORL $0x100, AX
	WRMSR
	LGDT GDTR32
	BYTE $0x0F; BYTE $0x20; BYTE $0xC0 // mov %cr0, %eax
	ANDL $0x9FFFFFF3, AX               // caches on; no EM, no TS
	ORL $0x80000003, AX                // PG, MP, PE
	BYTE $0x0F; BYTE $0x22; BYTE $0xC0 // mov %eax, %cr0
	MOVL $8, AX
	PUSHQ AX
	BYTE $0xEB; BYTE $0x01             // jmp over the lret
	BYTE $0xCB                         // lret to 64-bit code
	BYTE $0xE8; LONG $-6               // call the lret, which returns behind this

	// 64-bit mode.
	MOVL $16, AX
	BYTE $0x8E; BYTE $0xD8             // mov %ax, %ds
	BYTE $0x8E; BYTE $0xC0             // mov %ax, %es
	BYTE $0x8E; BYTE $0xD0             // mov %ax, %ss
	MOVL SP, SP
	MOVL SI, R12
	XORL R15, R15                      // addresses are physical ones
	JMP unpack

// 64-bit code again, everything is in place: back to where pvh began.
leave:
	MOVQ R12, SI
	PUSHQ $24
	BYTE $0xEB; BYTE $0x02             // jmp over the lretq
	BYTE $0x48; BYTE $0xCB             // lretq to 32-bit code
	BYTE $0xE8; LONG $-7               // call the lretq

	// 32-bit mode.
	BYTE $0x0F; BYTE $0x20; BYTE $0xC0 // mov %cr0, %eax
	ANDL $0x7FFFFFFF, AX               // no PG
	BYTE $0x0F; BYTE $0x22; BYTE $0xC0 // mov %eax, %cr0
	MOVL $0xC0000080, CX               // EFER: no LME
	RDMSR
	ANDL $0xFFFFFEFF, AX
	WRMSR
	MOVL SAVED_CR4, AX
	BYTE $0x0F; BYTE $0x22; BYTE $0xE0 // mov %eax, %cr4
	MOVL SAVED_CR0, AX
	BYTE $0x0F; BYTE $0x22; BYTE $0xC0 // mov %eax, %cr0
	MOVL SAVED_BX, BX
	MOVL ENTRY32, AX
	BYTE $0xFF; BYTE $0xE0             // jmp *%eax

// A Linux process: the segments' memory is mapped first, and protected after.
linux:
	BYTE $0xE8; LONG $0                // call the next instruction
	POPQ R12
	ANDQ $~4095, R12
	ADDQ $CODE_SIZE, R12
	MOVQ R12, R15
	SUBQ TABLE, R15                    // what is to be added to physical addresses, not 0
	LEAQ SEGMENTS(R12), R14
map:
	MOVQ ADDRESS, DI
	TESTQ DI, DI
	JEQ unpack
	MOVQ MEMSIZE, SI
	MOVL $3, DX                        // PROT_READ|PROT_WRITE
	MOVL $0x32, R10                    // MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS
	MOVQ $-1, R8
	XORL R9, R9
	MOVL $9, AX                        // mmap
	SYSCALL
	CMPQ AX, $-4096
	JHI damaged
	ADDQ $SEGSIZE, R14
	JMP map

mapped:
	LEAQ SEGMENTS(R12), R14
protect:
	MOVQ ADDRESS, DI
	TESTQ DI, DI
	JEQ start
	MOVQ MEMSIZE, SI
	MOVQ PROTECTION, DX
	MOVL $10, AX                       // mprotect
	SYSCALL
	TESTQ AX, AX
	JNE damaged
	ADDQ $SEGSIZE, R14
	JMP protect
start:
	MOVQ LINUX, AX
	XORL DX, DX                        // no function to run at exit
	JMP AX

// unpack fills the segments in turn. A chunk's bytes are preceded by their
// number; as many as it unpacks to are those themselves.
unpack:
	LEAQ SEGMENTS(R12), R14
	MOVQ PAYLOAD, SI
	ADDQ R15, SI
segment:
	MOVQ ADDRESS, DI
	TESTQ DI, DI
	JEQ done
chunk:
	MOVQ ADDRESS, AX
	ADDQ FILESIZE, AX
	CMPQ DI, AX
	JCC clear
	MOVQ PAYLOAD, DX
	ADDQ LENGTH, DX
	ADDQ R15, DX                       // where the payload ends
	LEAQ 4(SI), CX
	CMPQ CX, DX
	JHI damaged
	MOVL (SI), CX
	ADDQ $4, SI
	SUBQ SI, DX
	CMPQ CX, DX
	JHI damaged
	LEAQ (SI)(CX*1), DX                // where the chunk's bytes end
	LEAQ CHUNK(DI), R8                 // and what they unpack to
	CMPQ R8, AX
	CMOVQHI AX, R8
	MOVQ R8, AX
	SUBQ DI, AX
	CMPQ CX, AX
	JNE decode
	REP; MOVSB
	JMP chunk
decoded:
	TESTL AX, AX
	JEQ damaged
	JMP chunk
clear:
	MOVQ ADDRESS, CX
	ADDQ MEMSIZE, CX
	SUBQ DI, CX
	MOVL CX, DX
	XORL AX, AX
	SHRQ $3, CX
	REP; STOSQ
	MOVL DX, CX
	ANDL $7, CX
	REP; STOSB
	ADDQ $SEGSIZE, R14
	JMP segment
done:
	TESTQ R15, R15
	JNE mapped
	JMP leave

// damaged says so and stops.
damaged:
	LEAQ MESSAGE(R12), SI
	TESTQ R15, R15
	JEQ serial
	MOVL $1, AX                        // write
	MOVL $2, DI
	MOVQ MESSAGELEN, DX
	SYSCALL
	MOVL $231, AX                      // exit_group
	MOVL $1, DI
	SYSCALL
serial:
	MOVQ MESSAGELEN, R8
	ADDQ SI, R8
put:
	CMPQ SI, R8
	JEQ halt
	MOVL $0x3FD, DX                    // COM1, line status
	MOVL $0x100000, CX                 // a port that is not there does not hold us for ever
ready:
	BYTE $0xEC                         // in %dx, %al
	TESTB $0x20, AX
	JNE send
	SUBL $1, CX
	JNE ready
send:
	MOVL $0x3F8, DX
	MOVBLZX (SI), AX
	BYTE $0xEE                         // out %al, %dx
	ADDQ $1, SI
	JMP put
halt:
	CLI
	HLT
	JMP halt

// decode unpacks one LZ4 block: SI to DX are its bytes, DI to R8 what is
// written, to the last byte. Nothing outside of these is touched. It goes back
// with AX 1, or 0 if the block is no such block. R12 is 0 in tests.
//
// The loop at quick serves what most sequences are: few literals, and a short
// match not too near. It copies more than it needs, and so wants room; the way
// by token does not.
//
//	AX token  BX distance  CX number of bytes  R13 match
//	R9 start of what is written  R10, R11 up to where there is room
decode:
	MOVQ DI, R9
	LEAQ -32(DX), R10
	LEAQ -64(R8), R11
quick:
	CMPQ SI, R10
	JHI slow
	CMPQ DI, R11
	JHI slow
	MOVBLZX (SI), AX
	ADDQ $1, SI
	MOVL AX, CX
	SHRL $4, CX
	CMPL CX, $15
	JEQ literals
	MOVOU (SI), X0
	MOVOU X0, (DI)
	ADDQ CX, SI
	ADDQ CX, DI
	MOVWLZX (SI), BX
	ADDQ $2, SI
	MOVQ DI, R13
	SUBQ BX, R13
	CMPQ R13, R9
	JCS broken
	ANDL $15, AX
	CMPL AX, $15
	JEQ match
	CMPL BX, $16
	JCS match
	MOVOU (R13), X0
	MOVOU X0, (DI)
	MOVWLZX 16(R13), CX
	MOVW CX, 16(DI)
	LEAQ 4(DI)(AX*1), DI
	JMP quick

slow:
	CMPQ SI, DX
	JCC broken
	MOVBLZX (SI), AX
	ADDQ $1, SI
	MOVL AX, CX
	SHRL $4, CX
literals:                                  // CX is the token's number of literals
	CMPL CX, $15
	JNE few
more:
	CMPQ SI, DX
	JCC broken
	MOVBLZX (SI), BX
	ADDQ $1, SI
	ADDQ BX, CX
	CMPL BX, $255
	JEQ more
few:
	MOVQ DX, BX
	SUBQ SI, BX
	CMPQ CX, BX
	JHI broken
	SUBQ $16, BX
	JLT singly
	CMPQ CX, BX
	JGT singly                         // no 16 bytes can be read behind
	MOVQ R8, BX
	SUBQ DI, BX
	SUBQ $16, BX
	JLT singly
	CMPQ CX, BX
	JGT singly
	ADDQ CX, SI
	ADDQ CX, DI
	MOVQ SI, BX
	MOVQ DI, R13
	SUBQ CX, BX
	SUBQ CX, R13
wide:
	MOVOU (BX), X0
	MOVOU X0, (R13)
	ADDQ $16, BX
	ADDQ $16, R13
	CMPQ R13, DI
	JCS wide
	JMP distance
singly:
	MOVQ R8, BX
	SUBQ DI, BX
	CMPQ CX, BX
	JHI broken
	REP; MOVSB
distance:
	CMPQ SI, DX
	JEQ end                            // a block ends with literals
	LEAQ 2(SI), BX
	CMPQ BX, DX
	JHI broken
	MOVWLZX (SI), BX
	ADDQ $2, SI
	MOVQ DI, R13
	SUBQ BX, R13
	CMPQ R13, R9
	JCS broken
match:                                     // AX is the token, R13 is checked
	TESTL BX, BX
	JEQ broken
	ANDL $15, AX
	LEAQ 4(AX), CX
	CMPL AX, $15
	JNE short
longer:
	CMPQ SI, DX
	JCC broken
	MOVBLZX (SI), AX
	ADDQ $1, SI
	ADDQ AX, CX
	CMPL AX, $255
	JEQ longer
short:
	MOVQ R8, AX
	SUBQ DI, AX
	CMPQ CX, AX
	JHI broken
	SUBQ $16, AX
	JLT bytes
	CMPQ CX, AX
	JGT bytes                          // no 16 bytes can be written behind
	CMPL BX, $16
	JCS near
	ADDQ DI, CX                        // where the match ends
blocks:
	MOVOU (R13), X0
	MOVOU X0, (DI)
	ADDQ $16, R13
	ADDQ $16, DI
	CMPQ DI, CX
	JCS blocks
	MOVQ CX, DI
	JMP quick

// A distance below 16 repeats a pattern. The first 32 bytes come singly; then
// there is a multiple of the distance that is far enough.
near:
	CMPQ CX, $32
	JLS bytes
	SUBQ $32, CX
	MOVL $32, AX
pattern:
	MOVBLZX (R13), R11
	MOVB R11, (DI)
	ADDQ $1, R13
	ADDQ $1, DI
	SUBL $1, AX
	JNE pattern
double:
	ADDL BX, BX
	CMPL BX, $16
	JCS double
	LEAQ -64(R8), R11
	MOVQ DI, R13
	SUBQ BX, R13
	ADDQ DI, CX
	JMP blocks

bytes:
	MOVBLZX (R13), AX
	MOVB AX, (DI)
	ADDQ $1, R13
	ADDQ $1, DI
	SUBQ $1, CX
	JNE bytes
	JMP quick

end:
	CMPQ DI, R8
	JNE broken
	MOVL $1, AX
	JMP back
broken:
	XORL AX, AX
back:
	TESTQ R12, R12
	JNE decoded
	RET
	QUAD $0x646e652065646f63           // the mark by which layout.go finds the end

// func codeAddress() uintptr
TEXT ·codeAddress(SB), NOSPLIT, $0-8
	LEAQ ·code(SB), AX
	MOVQ AX, ret+0(FP)
	RET

// func decode(src, dst []byte) bool
TEXT ·decode(SB), NOSPLIT, $0-49
	MOVQ src_base+0(FP), SI
	MOVQ src_len+8(FP), DX
	ADDQ SI, DX
	MOVQ dst_base+24(FP), DI
	MOVQ dst_len+32(FP), R8
	ADDQ DI, R8
	XORL R12, R12
	LEAQ ·code+32(SB), AX
	CALL AX
	MOVB AX, ret+48(FP)
	RET
