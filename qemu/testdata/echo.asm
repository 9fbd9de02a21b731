# A guest for testing package qemu itself: GNU assembler source of echo.elf
# (go generate ./qemu). Entered by the PVH protocol; it says "ready" on the
# first serial port and gives back every byte it reads, except
#
#	x	exit status 42 and power off
#	p	ends QEMU through isa-debug-exit, as a kernel panic does
#	r	resets the machine

	.section .note.pvh, "a", @note
	.align	4
	.long	4, 8, 18
	.asciz	"Xen"
	.quad	start

	.text
	.code32
	.globl	start
start:
	movl	$stack, %esp
	movl	$ready, %esi
1:	lodsb
	testb	%al, %al
	jz	2f
	call	put
	jmp	1b
2:	movw	$0x3fd, %dx
	inb	%dx, %al
	testb	$1, %al
	jz	2b
	movw	$0x3f8, %dx
	inb	%dx, %al
	cmpb	$'x', %al
	je	exit
	cmpb	$'p', %al
	je	panic
	cmpb	$'r', %al
	je	reset
	call	put
	jmp	2b

# put writes AL to the serial port.
put:	movb	%al, %bl
3:	movw	$0x3fd, %dx
	inb	%dx, %al
	testb	$0x20, %al
	jz	3b
	movw	$0x3f8, %dx
	movb	%bl, %al
	outb	%al, %dx
	ret

exit:	movl	$status, %esi
	movl	$8, %ecx
	movw	$0xe9, %dx
	rep outsb
	movw	$0x2000, %ax	# SLP_EN, type 0: S5 on the q35, whose PM1a_CNT
	movw	$0x604, %dx	# the firmware has put here
	outw	%ax, %dx
4:	hlt
	jmp	4b

panic:	movb	$0x20, %al
	movw	$0x501, %dx
	outb	%al, %dx
	jmp	4b

reset:	movb	$6, %al
	movw	$0xcf9, %dx
	outb	%al, %dx
	jmp	4b

ready:	.asciz	"ready\n"
status:	.ascii	"exit 42\n"

	.bss
	.skip	1024
stack:
