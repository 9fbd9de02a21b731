package main

import (
	"debug/elf"
	"fmt"

	"github.com/tuplix/tuplix/cmd/tuplix/image/unpack"
	"github.com/tuplix/tuplix/qemu"
)

// checkMemory refuses a machine with less memory than its image needs to be loaded
// whole, and not be overwritten by q35's firmware. What is no ELF file, QEMU refuses by
// itself.
func checkMemory(c *qemu.Config) error {
	f, err := elf.Open(c.Image)
	if err != nil {
		return nil
	}
	defer f.Close()
	area := uint64(unpack.FirmwareArea)
	if c.Machine == qemu.MicroVM {
		area = 0
	}
	var needed uint64
	for _, p := range f.Progs {
		if p.Type == elf.PT_LOAD {
			needed = max(needed, p.Paddr+p.Filesz+area, p.Paddr+p.Memsz)
		}
	}
	if megabytes := (needed + 1<<20 - 1) >> 20; uint64(c.Memory) < megabytes {
		return fmt.Errorf("%d MiB of memory are too few for this image: give it %d or more, -m %dM", c.Memory, megabytes, megabytes)
	}
	return nil
}
