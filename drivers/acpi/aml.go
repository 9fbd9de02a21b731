package acpi

import (
	"encoding/binary"
	"errors"
	"strings"
)

// Opcodes of AML (ACPI 6.5, 20.2) that the walker knows.
const (
	opZero       = 0x00
	opOne        = 0x01
	opAlias      = 0x06
	opName       = 0x08
	opByte       = 0x0a
	opWord       = 0x0b
	opDWord      = 0x0c
	opString     = 0x0d
	opQWord      = 0x0e
	opScope      = 0x10
	opBuffer     = 0x11
	opPackage    = 0x12
	opVarPackage = 0x13
	opMethod     = 0x14
	opExternal   = 0x15
	opExt        = 0x5b
	opIf         = 0xa0
	opElse       = 0xa1
	opWhile      = 0xa2
	opOnes       = 0xff

	// After opExt.
	extMutex      = 0x01
	extEvent      = 0x02
	extRegion     = 0x80
	extField      = 0x81
	extDevice     = 0x82
	extProcessor  = 0x83
	extPower      = 0x84
	extThermal    = 0x85
	extIndexField = 0x86
	extBankField  = 0x87

	// First bytes of names.
	nameRoot   = '\\'
	nameParent = '^'
	nameDual   = 0x2e
	nameMulti  = 0x2f
)

// maxDepth bounds the nesting of scopes and packages.
const maxDepth = 32

// errTruncated says that a term leaves the block it is in, errUnknown that its
// length cannot be known.
var (
	errTruncated = errors.New("acpi: AML term leaves its block")
	errUnknown   = errors.New("acpi: AML term is not one of data or declaration")
)

// Reference is a name that stands for a value.
type Reference string

// stream reads AML. After an error it stays at its end.
type stream struct {
	b   []byte
	err error
}

func (s *stream) fail(err error) {
	if s.err == nil {
		s.err = err
	}
	s.b = nil
}

// take returns the next n bytes, zeros if there are fewer.
func (s *stream) take(n int) []byte {
	if n < 0 || n > len(s.b) {
		s.fail(errTruncated)
		return make([]byte, min(max(n, 0), 8))
	}
	b := s.b[:n]
	s.b = s.b[n:]
	return b
}

func (s *stream) u8() uint8 { return s.take(1)[0] }

func (s *stream) peek() int {
	if len(s.b) == 0 {
		return -1
	}
	return int(s.b[0])
}

// block returns the rest of a term that begins with its length (20.2.4): the
// first byte holds how many follow (bits 7-6) and the lowest 6 or 4 bits.
func (s *stream) block() *stream {
	before := len(s.b)
	lead := s.u8()
	n := int(lead & 0x3f)
	if follow := int(lead >> 6); follow > 0 {
		n = int(lead & 0xf)
		for i, b := range s.take(follow) {
			n |= int(b) << (4 + 8*i)
		}
	}
	if s.err != nil {
		return &stream{}
	}
	return &stream{b: s.take(n - (before - len(s.b))), err: s.err}
}

// name reads a name and makes it absolute in scope: \_SB_.PCI0.
func (s *stream) name(scope string) string {
	switch s.peek() {
	case nameRoot:
		s.u8()
		scope = `\`
	case nameParent:
		for s.peek() == nameParent {
			s.u8()
			scope = parent(scope)
		}
	}
	n := 1
	switch s.peek() {
	case 0:
		s.u8()
		return scope
	case nameDual:
		s.u8()
		n = 2
	case nameMulti:
		s.u8()
		n = int(s.u8())
	}
	for range n {
		segment := s.take(4)
		if s.err != nil || !validSegment(segment) {
			s.fail(errUnknown)
			return scope
		}
		scope = join(scope, string(segment))
	}
	return scope
}

func validSegment(b []byte) bool {
	for i, c := range b {
		digit := c >= '0' && c <= '9' && i > 0
		if !digit && c != '_' && (c < 'A' || c > 'Z') {
			return false
		}
	}
	return true
}

func startsName(c int) bool {
	return c == nameRoot || c == nameParent || c == nameDual || c == nameMulti || c == '_' || c >= 'A' && c <= 'Z'
}

func join(scope, segment string) string {
	if scope == `\` {
		return scope + segment
	}
	return scope + "." + segment
}

func parent(scope string) string {
	if i := strings.LastIndexByte(scope, '.'); i > 0 {
		return scope[:i]
	}
	return `\`
}

// data reads a constant: uint64, string, []byte, []any or Reference.
func (s *stream) data(scope string, depth int) any {
	if startsName(s.peek()) {
		return Reference(s.name(scope))
	}
	switch s.u8() {
	case opZero:
		return uint64(0)
	case opOne:
		return uint64(1)
	case opOnes:
		return ^uint64(0)
	case opByte:
		return uint64(s.u8())
	case opWord:
		return uint64(binary.LittleEndian.Uint16(s.take(2)))
	case opDWord:
		return uint64(binary.LittleEndian.Uint32(s.take(4)))
	case opQWord:
		return binary.LittleEndian.Uint64(s.take(8))
	case opString:
		return s.text()
	case opBuffer:
		return s.buffer(scope)
	case opPackage:
		b := s.block()
		return b.elements(int(b.u8()), scope, depth)
	case opVarPackage:
		b := s.block()
		n, _ := b.data(scope, maxDepth).(uint64)
		return b.elements(int(min(n, 1<<16)), scope, depth)
	}
	s.fail(errUnknown)
	return nil
}

func (s *stream) text() string {
	for i, c := range s.b {
		if c == 0 {
			return string(s.take(i + 1)[:i])
		}
	}
	s.fail(errTruncated)
	return ""
}

// buffer reads the initial content of a buffer; its size may be larger.
func (s *stream) buffer(scope string) []byte {
	b := s.block()
	b.data(scope, maxDepth)
	return b.b
}

// elements reads up to n elements of a package; it ends at what is no data.
func (s *stream) elements(n int, scope string, depth int) []any {
	list := []any{}
	if depth >= maxDepth {
		return list
	}
	for len(list) < n && len(s.b) > 0 {
		v := s.data(scope, depth+1)
		if s.err != nil {
			break
		}
		list = append(list, v)
	}
	return list
}
