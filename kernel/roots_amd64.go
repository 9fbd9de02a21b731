package kernel

// What the assembly files refer to, and other packages by linkname: tools that
// read only Go would take it for unused.
var (
	_ = onSyscall
	_ = onInterrupt
	_ = onKernelFault
	_ = boot
	_ = apMain
	_ = &bootArea
	_ = &kernelG
	_ = &kernelTLS
	_ = &apStack
	_ = &clockPage
	_ = &keepEntry
	_ = &gate
	_ = &exit
)
