# The guest by which package qemu finds out whether an accelerator works: GNU
# assembler source of probe.elf. After a change run "go generate ./qemu/probe"
# (needs binutils) and commit both.
#
# It is entered by the PVH protocol, in 32-bit protected mode with paging off.
# It looks for the CPU features that the system cannot do without, switches to
# 64-bit mode, and halts until a timer interrupt has come three times: that is
# what an accelerator that "works" but hangs its guests fails to do. The result
# goes to the isa-debug-exit device; QEMU's exit status is twice the value
# plus 1.
#
#	0x10	all is well
#	0x11	the CPU lacks XSAVE, CMPXCHG16B, FSGSBASE or long mode with NX
#	0x12	an exception that was not expected, or a register that forgets

	.set	EXIT, 0x501
	.set	GOOD, 0x10
	.set	LACKING, 0x11
	.set	FAULT, 0x12

	.section .note.pvh, "a", @note
	.align	4
	.long	4, 8, 18
	.asciz	"Xen"
	.quad	start

	.text
	.code32
	.globl	start
start:
	cli
	# No interrupts from the PICs, which firmware may have left on.
	movb	$0xff, %al
	outb	%al, $0x21
	outb	%al, $0xa1
	movl	$stack, %esp

	# Features: CPUID 1 ECX: XSAVE (26), CX16 (13).
	movl	$1, %eax
	cpuid
	andl	$0x04002000, %ecx
	cmpl	$0x04002000, %ecx
	jne	lacking
	# CPUID 7 EBX: FSGSBASE (0).
	movl	$0, %eax
	cpuid
	cmpl	$7, %eax
	jb	lacking
	movl	$7, %eax
	xorl	%ecx, %ecx
	cpuid
	testl	$1, %ebx
	jz	lacking
	# CPUID 80000001 EDX: LM (29), NX (20).
	movl	$0x80000001, %eax
	cpuid
	andl	$0x20100000, %edx
	cmpl	$0x20100000, %edx
	jne	lacking

	# Map the first GB to itself with 2 MB pages.
	movl	$pd, %edi
	movl	$0x83, %eax
	movl	$512, %ecx
1:	movl	%eax, (%edi)
	movl	$0, 4(%edi)
	addl	$0x200000, %eax
	addl	$8, %edi
	loop	1b
	movl	$pd + 3, pdpt
	movl	$pdpt + 3, pml4

	# CR4.PAE and OSFXSR, EFER.LME and NXE, CR0.PG.
	movl	%cr4, %eax
	orl	$0x220, %eax
	movl	%eax, %cr4
	movl	$pml4, %eax
	movl	%eax, %cr3
	movl	$0xc0000080, %ecx
	rdmsr
	orl	$0x900, %eax
	wrmsr
	movl	%cr0, %eax
	orl	$0x80000001, %eax
	movl	%eax, %cr0
	lgdt	gdtr
	ljmp	$8, $long

lacking:
	movb	$LACKING, %al
	movw	$EXIT, %dx
	outb	%al, %dx
2:	hlt
	jmp	2b

	.code64
long:
	movl	$16, %eax
	movl	%eax, %ds
	movl	%eax, %es
	movl	%eax, %ss

	# All 256 vectors lead to fault, vector 32 (timer) to tick.
	movl	$idt, %edi
	movl	$256, %ecx
	leaq	fault(%rip), %rax
3:	call	gate
	loop	3b
	movl	$idt + 32 * 16, %edi
	leaq	tick(%rip), %rax
	call	gate
	lidt	idtr

	# Use what the kernel will use: XSAVE, FSGSBASE, SYSCALL's MSRs, and a page
	# fault on an address that is not mapped.
	movq	%cr4, %rax
	orl	$0x50000, %eax
	movq	%rax, %cr4
	xorl	%ecx, %ecx
	xgetbv
	orl	$3, %eax
	xsetbv
	movl	$3, %eax
	xorl	%edx, %edx
	xsave	area
	xrstor	area
	movl	$0x12345000, %eax
	wrfsbase %rax
	rdfsbase %rcx
	cmpq	%rax, %rcx
	jne	fault
	movl	$0xc0000082, %ecx
	wrmsr
	rdmsr
	cmpl	$0x12345000, %eax
	jne	fault
	movl	$idt + 14 * 16, %edi
	leaq	touched(%rip), %rax
	call	gate
	movq	$-4096, %rax
	movl	(%rax), %ecx
after:

	# Local APIC, where CPUID and the reset state put it: enable, spurious
	# vector 255; timer periodic at vector 32, divide by 1.
	movl	$0xfee00000, %ebx
	# The registers lie above the first GB: map them through a second table.
	movl	$pd2 + 3, pdpt + 3 * 8
	movl	$0xfee00093, pd2 + 503 * 8
	movq	%cr3, %rax
	movq	%rax, %cr3
	movl	$0x1ff, 0xf0(%rbx)
	movl	$0xb, 0x3e0(%rbx)
	movl	$0x20020, 0x320(%rbx)
	movl	$100000, 0x380(%rbx)
	sti
4:	hlt
	cmpl	$3, ticks
	jb	4b
	movb	$GOOD, %al
5:	movw	$EXIT, %dx
	outb	%al, %dx
6:	hlt
	jmp	6b

fault:
	movb	$FAULT, %al
	jmp	5b

# touched goes on behind the load that faulted, if it is that one.
touched:
	movq	%cr2, %rcx
	cmpq	%rax, %rcx
	jne	fault
	addq	$8, %rsp
	leaq	after(%rip), %rcx
	movq	%rcx, (%rsp)
	iretq

tick:
	incl	ticks
	movl	$0, 0xb0(%rbx)
	iretq

# gate writes an interrupt gate to RAX at RDI and moves RDI on.
gate:
	movw	%ax, (%rdi)
	movw	$8, 2(%rdi)
	movw	$0x8e00, 4(%rdi)
	movq	%rax, %rdx
	shrq	$16, %rdx
	movw	%dx, 6(%rdi)
	shrq	$16, %rdx
	movl	%edx, 8(%rdi)
	movl	$0, 12(%rdi)
	addq	$16, %rdi
	ret

	.section .rodata
	.align	8
gdt:	.quad	0
	.quad	0x00af9b000000ffff
	.quad	0x00cf93000000ffff
gdtr:	.word	. - gdt - 1
	.long	gdt
idtr:	.word	256 * 16 - 1
	.quad	idt

	.bss
	.align	4096
pml4:	.skip	4096
pdpt:	.skip	4096
pd:	.skip	4096
pd2:	.skip	4096
idt:	.skip	4096
	.skip	4096
stack:
area:	.skip	4096
ticks:	.skip	4
