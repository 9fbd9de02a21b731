package linux

import (
	"encoding/binary"
	"syscall"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// Socket addresses as the calls take them (amd64 and arm64 are little-endian;
// ports and addresses are in network order):
//
//	sockaddr_in     0 family u16  2 port  4 address[4]    8 zero[8]      = 16
//	sockaddr_in6    0 family u16  2 port  4 flow u32      8 address[16]
//	               24 scope u32                                         = 28
//	sockaddr_un     0 family u16  2 path, up to 108 bytes
//	sockaddr_nl     0 family u16  2 pad   4 port id u32   8 groups u32   = 12
const (
	sizeInet    = 16
	sizeInet6   = 28
	sizeNetlink = 12
	maxUnixPath = 108

	// maxName is the longest socket address taken (sockaddr_storage).
	maxName = 128
	// maxOptionSize bounds the value of a socket option.
	maxOptionSize = 1024
)

// socketName is an encoded address: n bytes of buf. n is 0 for none.
type socketName struct {
	buf [2 + maxUnixPath + 1]byte
	n   int
}

// nameArgument is the address at the pointer in word.
func nameArgument(word *uintptr, size uintptr) ([]byte, syscall.Errno) {
	n := int(int32(size))
	if n < 0 || n > maxName {
		return nil, syscall.EINVAL
	}
	return buffer(word, uintptr(n))
}

// store writes the name as getsockname(2) does: cut off at the caller's size,
// which is then set to the true one.
func (n *socketName) store(addr, size *uintptr) syscall.Errno {
	room, e := object[uint32](size)
	if e != 0 {
		return e
	}
	if int32(*room) < 0 {
		return syscall.EINVAL
	}
	p, e := buffer(addr, uintptr(min(int(*room), n.n)))
	if e != 0 {
		return e
	}
	copy(p, n.buf[:n.n])
	*room = uint32(n.n)
	return 0
}

// setInet encodes an address for a socket of the family.
func (n *socketName) setInet(family int, a tcpip.FullAddress) {
	clear(n.buf[:sizeInet6])
	binary.LittleEndian.PutUint16(n.buf[0:], uint16(family))
	binary.BigEndian.PutUint16(n.buf[2:], a.Port)
	if family == unix.AF_INET {
		copy(n.buf[4:8], a.Addr.AsSlice())
		n.n = sizeInet
		return
	}
	n.n = sizeInet6
	if a.Addr.Len() == header.IPv4AddressSize {
		n.buf[18], n.buf[19] = 0xff, 0xff // ::ffff:a.b.c.d
		copy(n.buf[20:24], a.Addr.AsSlice())
		return
	}
	copy(n.buf[8:24], a.Addr.AsSlice())
	if a.Addr.Len() == header.IPv6AddressSize && scoped(a.Addr) {
		binary.LittleEndian.PutUint32(n.buf[24:], uint32(a.NIC))
	}
}

func scoped(a tcpip.Address) bool {
	return header.IsV6LinkLocalUnicastAddress(a) || header.IsV6LinkLocalMulticastAddress(a)
}

// parseInet decodes an address for a socket of the family. The unspecified
// address is the empty one, as the stack wants it.
func parseInet(family int, name []byte) (tcpip.FullAddress, syscall.Errno) {
	var a tcpip.FullAddress
	if len(name) < 2 {
		return a, syscall.EINVAL
	}
	given := int(binary.LittleEndian.Uint16(name))
	switch {
	case given == unix.AF_INET && family == unix.AF_INET:
		if len(name) < sizeInet {
			return a, syscall.EINVAL
		}
		a.Addr = tcpip.AddrFrom4Slice(name[4:8])
	case given == unix.AF_INET6 && family == unix.AF_INET6:
		if len(name) < sizeInet6-4 { // Linux takes those of RFC 2133, without the scope
			return a, syscall.EINVAL
		}
		a.Addr = tcpip.AddrFrom16Slice(name[8:24])
		if len(name) >= sizeInet6 && scoped(a.Addr) {
			a.NIC = tcpip.NICID(binary.LittleEndian.Uint32(name[24:]))
		}
	default:
		return a, syscall.EAFNOSUPPORT
	}
	a.Port = binary.BigEndian.Uint16(name[2:])
	if a.Addr.Unspecified() {
		a.Addr = tcpip.Address{}
	}
	return a, 0
}

// unspecifiedFamily tells whether a name asks connect(2) to disconnect.
func unspecifiedFamily(name []byte) bool {
	return len(name) >= 2 && binary.LittleEndian.Uint16(name) == unix.AF_UNSPEC
}

// parseUnix returns the path or abstract name in a sockaddr_un; an abstract
// one begins with a zero byte. The empty string asks for autobind.
func parseUnix(name []byte) (string, syscall.Errno) {
	if len(name) < 2 || len(name) > 2+maxUnixPath {
		return "", syscall.EINVAL
	}
	if binary.LittleEndian.Uint16(name) != unix.AF_UNIX {
		return "", syscall.EINVAL
	}
	path := name[2:]
	if len(path) > 0 && path[0] != 0 {
		for i, c := range path {
			if c == 0 {
				path = path[:i]
				break
			}
		}
	}
	return string(path), 0
}

// setUnix encodes a path or abstract name.
func (n *socketName) setUnix(path string) {
	clear(n.buf[:])
	binary.LittleEndian.PutUint16(n.buf[0:], unix.AF_UNIX)
	n.n = 2 + copy(n.buf[2:2+maxUnixPath], path)
	if path != "" && path[0] != 0 {
		n.n++ // the terminating zero counts
	}
}

// setNetlink encodes a netlink address.
func (n *socketName) setNetlink(port uint32) {
	clear(n.buf[:sizeNetlink])
	binary.LittleEndian.PutUint16(n.buf[0:], unix.AF_NETLINK)
	binary.LittleEndian.PutUint32(n.buf[4:], port)
	n.n = sizeNetlink
}
