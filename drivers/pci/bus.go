package pci

// Registers of the configuration header.
const (
	regID         = 0x00 // vendor u16, device u16
	regCommand    = 0x04 // u16, then status u16
	regClass      = 0x08 // revision u8, interface u8, subclass u8, class u8
	regHeader     = 0x0c // byte 2: header type
	regBAR        = 0x10
	regSecondary  = 0x18 // bridges: primary, secondary, subordinate bus
	regSubsystem  = 0x2c // vendor u16, device u16
	regCapability = 0x34 // u8

	commandIO     = 1 << 0
	commandMemory = 1 << 1
	commandMaster = 1 << 2
	commandNoINTx = 1 << 10

	statusCapabilities = 1 << 20 // in the word of the command

	headerMulti  = 0x80
	headerType   = 0x7f
	headerBridge = 1
)

// Scan returns all functions on bus first and the buses behind its bridges, in
// the order of a walk. Bridges that firmware left without a bus number have
// nothing behind them that could be reached.
func Scan(c Config, m Mapper, first uint8) []*Function {
	s := scanner{config: c, mapper: m}
	s.bus(first)
	return s.found
}

type scanner struct {
	config Config
	mapper Mapper
	seen   [256]bool
	found  []*Function
}

func (s *scanner) bus(n uint8) {
	if s.seen[n] {
		return
	}
	s.seen[n] = true
	for dev := range uint8(32) {
		s.device(n, dev)
	}
}

func (s *scanner) device(bus, dev uint8) {
	for fn := range uint8(8) {
		f := probe(s.config, s.mapper, Address{bus, dev, fn})
		if f == nil {
			if fn == 0 {
				return
			}
			continue
		}
		s.found = append(s.found, f)
		if f.header&headerType == headerBridge {
			s.behind(f)
		}
		if fn == 0 && f.header&headerMulti == 0 {
			return
		}
	}
}

// behind follows a bridge. Bus numbers grow downwards; one that does not is
// unassigned or a loop.
func (s *scanner) behind(f *Function) {
	if secondary := uint8(f.Read32(regSecondary) >> 8); secondary > f.Bus {
		s.bus(secondary)
	}
}

func probe(c Config, m Mapper, a Address) *Function {
	id := c.Read32(a, regID)
	if vendor := uint16(id); vendor == 0xffff || vendor == 0 {
		return nil
	}
	class := c.Read32(a, regClass)
	return &Function{
		Address: a,
		Vendor:  uint16(id),
		Device:  uint16(id >> 16),
		Class:   class >> 8,
		header:  uint8(c.Read32(a, regHeader) >> 16),
		config:  c,
		mapper:  m,
	}
}
