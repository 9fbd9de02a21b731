package kernel

import "syscall"

// In a Linux process the image's last variables, which its build leaves out
// of what is loaded, have to be mapped before anything touches them. On the
// bare machine the kernel backs them on demand.
func init() {
	if booted {
		return
	}
	start, end := loadedEnd(), (imageEnd()+pageSize-1)&^(pageSize-1)
	if start == 0 || start >= end {
		return
	}
	const fixedNoReplace = 0x100000
	_, _, e := syscall.RawSyscall6(syscall.SYS_MMAP, start, end-start, syscall.PROT_READ|syscall.PROT_WRITE,
		syscall.MAP_PRIVATE|syscall.MAP_ANON|fixedNoReplace, ^uintptr(0), 0)
	if e != 0 {
		panic("kernel: mapping the image's last variables: " + e.Error())
	}
}

// loadedEnd is the end of what the ELF headers in memory say is loaded, 0 if
// this program's headers are not where an image has them.
func loadedEnd() uintptr {
	const imageBase = 16 << 20 // -T of the image's build
	if imageText()&^(pageSize-1) != imageBase+pageSize {
		return 0
	}
	list, count := readSegments()
	return list[count-1].end
}
