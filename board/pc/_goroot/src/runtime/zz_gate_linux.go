// This file is added to package runtime when an image is built: fcntl, which
// packages syscall and internal/poll call by this name, goes to the system on
// the caller's goroutine, as package syscall's calls do.

package runtime

import (
	"internal/runtime/syscall/linux"
	_ "unsafe" // for linkname
)

//go:linkname kernelGate github.com/tuplix/tuplix/kernel.gate
var kernelGate func(nr, a1, a2, a3, a4, a5, a6 uintptr) (r uintptr, taken bool)

//go:nosplit
func fcntl(fd, cmd, arg int32) (ret int32, errno int32) {
	if kernelGate == nil || getg() == getg().m.g0 {
		return trapFcntl(fd, cmd, arg)
	}
	r, taken := kernelGate(linux.SYS_FCNTL, uintptr(fd), uintptr(cmd), uintptr(arg), 0, 0, 0)
	if !taken {
		return trapFcntl(fd, cmd, arg)
	}
	if e := -r; e-1 < 4095 {
		return -1, int32(e)
	}
	return int32(r), 0
}
