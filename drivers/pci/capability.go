package pci

import "fmt"

// Capability ids (PCI Code and ID Assignment Specification).
const (
	CapMSI    = 0x05
	CapVendor = 0x09
	CapMSIX   = 0x11
)

// Capability is an entry of the list of capabilities.
type Capability struct {
	ID     uint8
	Offset int // in configuration space, a multiple of 4
}

const (
	capFirst = 0x40 // capabilities lie behind the header
	capEnd   = 0x100
)

// Capabilities returns the list of capabilities in its order. A list that
// leaves its space or does not end is an error.
func (f *Function) Capabilities() ([]Capability, error) {
	if f.Read32(regCommand)&statusCapabilities == 0 {
		return nil, nil
	}
	var list []Capability
	var seen [capEnd / 4]bool
	at := int(f.Read8(regCapability)) &^ 3
	for at != 0 {
		if at < capFirst || seen[at/4] {
			return nil, fmt.Errorf("%v: list of capabilities is broken at %#x", f.Address, at)
		}
		seen[at/4] = true
		word := f.Read32(at)
		list = append(list, Capability{ID: uint8(word), Offset: at})
		at = int(word>>8&0xff) &^ 3
	}
	return list, nil
}
