package main

import (
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Addresses of QEMU's user-mode network.
var (
	guestAddr = [4]byte{10, 0, 2, 15}
	netmask   = [4]byte{255, 255, 255, 0}
	gateway   = [4]byte{10, 0, 2, 2}
)

// startNetwork gives the interfaces lo and eth0, if there is one, their
// addresses, and sets the default route.
func startNetwork() error {
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	defer unix.Close(s)
	if err := up(s, "lo"); err != nil {
		return err
	}
	if _, err := os.Stat("/sys/class/net/eth0"); err != nil {
		return nil // a machine without a network
	}
	if err := address(s, "eth0", unix.SIOCSIFADDR, guestAddr); err != nil {
		return err
	}
	if err := address(s, "eth0", unix.SIOCSIFNETMASK, netmask); err != nil {
		return err
	}
	if err := up(s, "eth0"); err != nil {
		return err
	}
	return defaultRoute(s)
}

func address(s int, name string, request uint, addr [4]byte) error {
	r, err := unix.NewIfreq(name)
	if err != nil {
		return err
	}
	if err := r.SetInet4Addr(addr[:]); err != nil {
		return err
	}
	if err := unix.IoctlIfreq(s, request, r); err != nil {
		return fmt.Errorf("address of %s: %w", name, err)
	}
	return nil
}

func up(s int, name string) error {
	r, err := unix.NewIfreq(name)
	if err != nil {
		return err
	}
	r.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	if err := unix.IoctlIfreq(s, unix.SIOCSIFFLAGS, r); err != nil {
		return fmt.Errorf("bring %s up: %w", name, err)
	}
	return nil
}

// rtentry is struct rtentry of linux/route.h on amd64.
type rtentry struct {
	_       uint64
	dst     unix.RawSockaddrInet4
	gateway unix.RawSockaddrInet4
	genmask unix.RawSockaddrInet4
	flags   uint16
	_       int16
	_       uint64
	_       uint64
	_       int16
	_       uintptr
	_       uint64
	_       uint64
	_       uint16
}

func defaultRoute(s int) error {
	r := rtentry{flags: unix.RTF_UP | unix.RTF_GATEWAY}
	r.dst.Family, r.genmask.Family, r.gateway.Family = unix.AF_INET, unix.AF_INET, unix.AF_INET
	r.gateway.Addr = gateway
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(s), unix.SIOCADDRT, uintptr(unsafe.Pointer(&r))); errno != 0 {
		return fmt.Errorf("default route: %w", errno)
	}
	return nil
}
