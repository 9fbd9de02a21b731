package acpi

import "encoding/binary"

// Namespace is the named data and the devices of DSDT and SSDTs. Names are
// absolute, with segments of four letters: \_SB_.PCI0._HID.
type Namespace struct {
	values  map[string]any
	devices []string
	skipped int
}

// Namespace walks over the machine's AML.
func (t *Tables) Namespace() *Namespace {
	n := &Namespace{values: map[string]any{}}
	for _, signature := range []string{"DSDT", "SSDT"} {
		for _, b := range t.list[signature] {
			n.terms(&stream{b: b[headerSize:]}, `\`, 0)
		}
	}
	return n
}

// Value returns what a name stands for: uint64, string, []byte, []any or
// Reference; nil if it is unknown. References are not followed.
func (n *Namespace) Value(name string) any { return n.values[name] }

// Devices returns the names of all devices, in order.
func (n *Namespace) Devices() []string { return n.devices }

// Skipped returns how many scopes were left before their end because of a term
// whose length is unknown.
func (n *Namespace) Skipped() int { return n.skipped }

// terms walks over the declarations of a scope.
func (n *Namespace) terms(s *stream, scope string, depth int) {
	if depth >= maxDepth {
		n.skipped++
		return
	}
	for len(s.b) > 0 && s.err == nil {
		n.term(s, scope, depth)
	}
	if s.err != nil {
		n.skipped++
	}
}

func (n *Namespace) term(s *stream, scope string, depth int) {
	switch s.u8() {
	case opName:
		name := s.name(scope)
		if v := s.data(scope, 0); s.err == nil {
			n.values[name] = v
		}
	case opScope:
		b := s.block()
		n.terms(b, b.name(scope), depth+1)
	case opMethod, opIf, opElse, opWhile:
		s.block()
	case opAlias:
		s.name(scope)
		s.name(scope)
	case opExternal:
		s.name(scope)
		s.take(2)
	case opExt:
		n.extended(s, scope, depth)
	default:
		s.fail(errUnknown)
	}
}

func (n *Namespace) extended(s *stream, scope string, depth int) {
	switch s.u8() {
	case extDevice:
		b := s.block()
		name := b.name(scope)
		if b.err == nil {
			n.devices = append(n.devices, name)
		}
		n.terms(b, name, depth+1)
	case extThermal:
		b := s.block()
		n.terms(b, b.name(scope), depth+1)
	case extProcessor: // id u8, block u32, its length u8
		n.fixed(s.block(), scope, 6, depth)
	case extPower: // level u8, order u16
		n.fixed(s.block(), scope, 3, depth)
	case extField, extIndexField, extBankField:
		s.block()
	case extMutex:
		s.name(scope)
		s.u8()
	case extEvent:
		s.name(scope)
	case extRegion: // space u8, offset and length
		s.name(scope)
		s.u8()
		s.data(scope, 0)
		s.data(scope, 0)
	default:
		s.fail(errUnknown)
	}
}

// fixed walks over a scope with skip bytes of fields between name and terms.
func (n *Namespace) fixed(b *stream, scope string, skip, depth int) {
	name := b.name(scope)
	b.take(skip)
	n.terms(b, name, depth+1)
}

// HardwareID returns the _HID of a device, with EISA ids as text; "" if none.
func (n *Namespace) HardwareID(device string) string {
	switch v := n.values[join(device, "_HID")].(type) {
	case string:
		return v
	case uint64:
		return eisaID(uint32(v))
	}
	return ""
}

// eisaID decodes a compressed id (ACPI 6.5, 19.3.4): big-endian, three letters
// of five bits, four hexadecimal digits.
func eisaID(v uint32) string {
	var b [4]byte
	binary.LittleEndian.PutUint32(b[:], v)
	be := binary.BigEndian.Uint32(b[:])
	const hex = "0123456789ABCDEF"
	return string([]byte{
		byte(be>>26&31) + '@', byte(be>>21&31) + '@', byte(be>>16&31) + '@',
		hex[be>>12&15], hex[be>>8&15], hex[be>>4&15], hex[be&15],
	})
}

// FindDevices returns the names of all devices with a hardware id.
func (n *Namespace) FindDevices(id string) []string {
	var list []string
	for _, d := range n.devices {
		if n.HardwareID(d) == id {
			list = append(list, d)
		}
	}
	return list
}

// VirtioMMIO is the hardware id of a virtio device with the MMIO transport.
const VirtioMMIO = "LNRO0005"

// Resources returns what the _CRS of a device says, if it is plain data.
func (n *Namespace) Resources(device string) (Resources, error) {
	b, ok := n.values[join(device, "_CRS")].([]byte)
	if !ok {
		return Resources{}, errNoResources
	}
	return ParseResources(b)
}
