package pc

import (
	"unsafe"

	"github.com/tuplix/tuplix/kernel"
	"github.com/tuplix/tuplix/services/linux"
)

// memory is the kernel's address space, as services/linux needs it for mappings of files.
type memory struct{}

func (memory) Reserve(n int) ([]byte, error) { return kernel.ReserveMemory(n) }

func (memory) Discard(p []byte) error {
	return kernel.DiscardMemory(uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
}

func (memory) MapFile(m *linux.Mapping) (uintptr, error) {
	return kernel.MapFile(&kernel.FileMapping{
		Hint: m.Hint, Fixed: m.Fixed, NoReplace: m.NoReplace, Prot: m.Prot, MayWrite: m.MayWrite,
		Home: m.Home, Size: m.Size, Limit: m.Limit,
	})
}

// Ranges are all mappings.
func (memory) Ranges() (list []linux.Range) {
	for _, r := range kernel.Ranges() {
		list = append(list, linux.Range(r))
	}
	return list
}

func (memory) SetLimit(address, n, limit uintptr)             { kernel.LimitFile(address, n, limit) }
func (memory) TakeDirty(address uintptr, n int) uint64        { return kernel.TakeDirty(address, n) }
func (memory) MapAnonymous(args *[6]uintptr) (uintptr, error) { return kernel.MapAnonymous(args) }
func (memory) Unmap(address, n uintptr) error                 { return kernel.Unmap(address, n) }
func (memory) Protect(address, n uintptr, prot int) error     { return kernel.Protect(address, n, prot) }
