#include "textflag.h"

// Entry to the kernel and return from it. The kernel is event-driven: it has
// one stack for each processor, none for each thread. On entry the state of
// the interrupted thread goes into its registers structure (thread_amd64.go);
// on return the state of whatever thread the processor is to run next comes
// out of its own. While the kernel runs, interrupts are off.
//
// Offsets in registers:
#define R_AX 0
#define R_BX 8
#define R_CX 16
#define R_DX 24
#define R_SI 32
#define R_DI 40
#define R_BP 48
#define R_R8 56
#define R_R9 64
#define R_R10 72
#define R_R11 80
#define R_R12 88
#define R_R13 96
#define R_R14 104
#define R_R15 112
#define R_IP 120
#define R_CS 128
#define R_FLAGS 136
#define R_SP 144
#define R_SS 152
#define R_FS 160
#define R_XSAVE 168
#define R_LIVE 176

// Offsets in processor, which GS points at:
#define C_REGS 8
#define C_STACK 16
#define C_SCRATCH 24
#define C_INKERNEL 32
#define C_XSAVE 40

#define RDFSBASE_AX BYTE $0xF3; BYTE $0x48; BYTE $0x0F; BYTE $0xAE; BYTE $0xC0
#define WRFSBASE_AX BYTE $0xF3; BYTE $0x48; BYTE $0x0F; BYTE $0xAE; BYTE $0xD0
#define XSAVE_BX    BYTE $0x48; BYTE $0x0F; BYTE $0xAE; BYTE $0x23
#define XRSTOR_BX   BYTE $0x48; BYTE $0x0F; BYTE $0xAE; BYTE $0x2B

#define KERNEL_G \
	LEAQ ·kernelTLS+8(SB), AX \
	WRFSBASE_AX               \
	LEAQ ·kernelG(SB), R14    \
	XORPS X15, X15

// syscallEntry: SYSCALL left the return address in RCX and the flags in R11.
TEXT ·syscallEntry(SB), NOSPLIT|NOFRAME, $0
	MOVQ SP, C_SCRATCH(GS)
	MOVQ C_REGS(GS), SP
	MOVQ AX, R_AX(SP)
	MOVQ BX, R_BX(SP)
	MOVQ DX, R_DX(SP)
	MOVQ SI, R_SI(SP)
	MOVQ DI, R_DI(SP)
	MOVQ BP, R_BP(SP)
	MOVQ R8, R_R8(SP)
	MOVQ R9, R_R9(SP)
	MOVQ R10, R_R10(SP)
	MOVQ R12, R_R12(SP)
	MOVQ R13, R_R13(SP)
	MOVQ R14, R_R14(SP)
	MOVQ R15, R_R15(SP)
	MOVQ CX, R_IP(SP)
	MOVQ R11, R_FLAGS(SP)
	MOVQ C_SCRATCH(GS), CX
	MOVQ CX, R_SP(SP)
	RDFSBASE_AX
	MOVQ AX, R_FS(SP)
	MOVQ $1, C_INKERNEL(GS)
	MOVQ C_STACK(GS), SP
	XORL BP, BP
	KERNEL_G
	CALL ·onSyscall(SB)
	JMP ·resume(SB)

// interruptCommon: the processor pushed the interrupted frame on an IST stack
// and the stub below an error code (or 0) and the vector.
//
//	0 vector  8 error  16 ip  24 cs  32 flags  40 sp  48 ss
TEXT ·interruptCommon(SB), NOSPLIT|NOFRAME, $0
	CLD
	CMPQ C_INKERNEL(GS), $0
	JNE nested
	PUSHQ AX
	MOVQ C_REGS(GS), AX
	TESTQ AX, AX
	JZ idle
	MOVQ BX, R_BX(AX)
	MOVQ CX, R_CX(AX)
	MOVQ DX, R_DX(AX)
	MOVQ SI, R_SI(AX)
	MOVQ DI, R_DI(AX)
	MOVQ BP, R_BP(AX)
	MOVQ R8, R_R8(AX)
	MOVQ R9, R_R9(AX)
	MOVQ R10, R_R10(AX)
	MOVQ R11, R_R11(AX)
	MOVQ R12, R_R12(AX)
	MOVQ R13, R_R13(AX)
	MOVQ R14, R_R14(AX)
	MOVQ R15, R_R15(AX)
	MOVQ 0(SP), BX
	MOVQ BX, R_AX(AX)
	MOVQ 24(SP), BX
	MOVQ BX, R_IP(AX)
	MOVQ 40(SP), BX
	MOVQ BX, R_FLAGS(AX)
	MOVQ 48(SP), BX
	MOVQ BX, R_SP(AX)
	MOVQ R_XSAVE(AX), BX
	MOVQ $1, R_LIVE(AX)
	MOVQ AX, R12
	RDFSBASE_AX
	MOVQ AX, R_FS(R12)
	MOVL $-1, AX
	MOVL $-1, DX
	XSAVE_BX
idle:
	POPQ AX
	MOVQ $1, C_INKERNEL(GS)
	XORL BP, BP
	KERNEL_G
	MOVQ 0(SP), BX
	MOVQ 8(SP), CX
	MOVQ C_STACK(GS), SP               // empty now, so the IST stacks stay free for faults
	SUBQ $32, SP
	MOVQ BX, 0(SP)
	MOVQ CX, 8(SP)
	CALL ·onInterrupt(SB)
	JMP ·resume(SB)

nested:
	// A fault of the kernel itself: page faults on memory of the program
	// are served, all else is a kernel panic. Registers as in registers.
	PUSHQ R15
	PUSHQ R14
	PUSHQ R13
	PUSHQ R12
	PUSHQ R11
	PUSHQ R10
	PUSHQ R9
	PUSHQ R8
	PUSHQ BP
	PUSHQ DI
	PUSHQ SI
	PUSHQ DX
	PUSHQ CX
	PUSHQ BX
	PUSHQ AX
	MOVQ SP, R12
	MOVQ C_XSAVE(GS), BX
	MOVL $-1, AX
	MOVL $-1, DX
	XSAVE_BX
	MOVQ R12, BP
	ANDQ $~15, SP
	SUBQ $32, SP
	LEAQ ·kernelG(SB), R14
	XORPS X15, X15
	MOVQ R12, 0(SP)
	MOVQ 120(R12), AX
	MOVQ AX, 8(SP)
	MOVQ 128(R12), AX
	MOVQ AX, 16(SP)
	MOVQ R12, C_SCRATCH(GS)
	CALL ·onKernelFault(SB)
	MOVQ C_SCRATCH(GS), R12
	MOVQ C_XSAVE(GS), BX
	MOVL $-1, AX
	MOVL $-1, DX
	XRSTOR_BX
	MOVQ R12, SP
	POPQ AX
	POPQ BX
	POPQ CX
	POPQ DX
	POPQ SI
	POPQ DI
	POPQ BP
	POPQ R8
	POPQ R9
	POPQ R10
	POPQ R11
	POPQ R12
	POPQ R13
	POPQ R14
	POPQ R15
	ADDQ $16, SP
	IRETQ

// resume runs the thread that C_REGS names, or waits for an interrupt.
TEXT ·resume(SB), NOSPLIT|NOFRAME, $0
	MOVQ C_REGS(GS), DI
	TESTQ DI, DI
	JZ idle
	CMPQ R_LIVE(DI), $0
	JEQ clobbered
	MOVQ $0, R_LIVE(DI)
	MOVQ R_XSAVE(DI), BX
	MOVL $-1, AX
	MOVL $-1, DX
	XRSTOR_BX
clobbered:
	MOVQ R_FS(DI), AX
	WRFSBASE_AX
	MOVQ $0, C_INKERNEL(GS)
	MOVQ R_AX(DI), AX
	MOVQ R_BX(DI), BX
	MOVQ R_CX(DI), CX
	MOVQ R_DX(DI), DX
	MOVQ R_SI(DI), SI
	BYTE $0x48; BYTE $0x8B; BYTE $0x6F; BYTE $R_BP // mov R_BP(%rdi), %rbp
	MOVQ R_R8(DI), R8
	MOVQ R_R9(DI), R9
	MOVQ R_R10(DI), R10
	MOVQ R_R11(DI), R11
	MOVQ R_R12(DI), R12
	MOVQ R_R13(DI), R13
	MOVQ R_R14(DI), R14
	MOVQ R_R15(DI), R15
	LEAQ R_IP(DI), SP
	MOVQ R_DI(DI), DI
	IRETQ
idle:
	MOVQ C_STACK(GS), SP
	MOVQ $0, C_INKERNEL(GS)
	STI
	HLT
	CLI
	JMP idle

TEXT ·resumeNow(SB), NOSPLIT|NOFRAME, $0
	JMP ·resume(SB)

// tripleFault takes an exception without an interrupt table.
TEXT ·tripleFault(SB), NOSPLIT, $16-0
	MOVQ $0, 0(SP)
	MOVQ $0, 8(SP)
	LIDT (SP)
	BYTE $0xCC
	RET

// func trap(nr, a0, a1, a2, a3, a4 uintptr) uintptr: a system call of the
// kernel's own programs, without telling the Go scheduler.
TEXT ·trap(SB), NOSPLIT, $0-56
	MOVQ nr+0(FP), AX
	MOVQ a0+8(FP), DI
	MOVQ a1+16(FP), SI
	MOVQ a2+24(FP), DX
	MOVQ a3+32(FP), R10
	MOVQ a4+40(FP), R8
	SYSCALL
	MOVQ AX, ret+48(FP)
	RET

// thisCPU: GS:0 holds the processor's own address.
TEXT ·thisCPU(SB), NOSPLIT, $0-8
	MOVQ 0(GS), AX
	MOVQ AX, ret+0(FP)
	RET

// func signalReturn: the restorer that Go installs is its own; a handler
// without one returns here.
TEXT ·signalReturn(SB), NOSPLIT|NOFRAME, $0
	MOVL $15, AX
	SYSCALL
	BYTE $0xCC                         // never here

// func vdsoClock: int clock_gettime(clockid, *timespec) in the C calling
// convention, the code behind the vDSO's symbol. It reads the clock page
// (clock_amd64.go): 0 sequence, 8 tsc at base, 16 multiplier, 24 monotonic
// base in ns, 32 realtime minus monotonic in ns. Clocks that it does not know
// go to the kernel.
TEXT ·vdsoClock(SB), NOSPLIT|NOFRAME, $0
	CMPL DI, $1
	JHI other
	MOVQ ·clockPage(SB), R8
	MOVL DI, R9
again:
	MOVQ 0(R8), R10
	TESTQ $1, R10
	JNE again
	LFENCE
	RDTSC
	SHLQ $32, DX
	ORQ DX, AX
	SUBQ 8(R8), AX
	JCC forward
	XORL AX, AX                        // another processor's counter is a hair behind
forward:
	MULQ 16(R8)                        // 128-bit product; ns = product >> 32
	SHRQ $32, DX, AX
	ADDQ 24(R8), AX
	TESTL R9, R9
	JNE monotonic
	ADDQ 32(R8), AX
monotonic:
	CMPQ 0(R8), R10
	JNE again
	MOVQ AX, R10
	XORL DX, DX
	MOVQ $1000000000, CX
	DIVQ CX
	MOVQ AX, 0(SI)
	MOVQ DX, 8(SI)
	XORL AX, AX
	RET
other:
	MOVL $228, AX
	SYSCALL
	RET

// func trapAddresses() (syscall, stub, sigreturn, clock uintptr)
TEXT ·trapAddresses(SB), NOSPLIT, $0-32
	LEAQ ·syscallEntry(SB), AX
	MOVQ AX, syscall+0(FP)
	LEAQ ·stubs(SB), AX
	MOVQ AX, stub+8(FP)
	LEAQ ·signalReturn(SB), AX
	MOVQ AX, sigreturn+16(FP)
	LEAQ ·vdsoClock(SB), AX
	MOVQ AX, clock+24(FP)
	RET
