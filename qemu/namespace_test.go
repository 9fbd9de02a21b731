package qemu

import (
	"errors"
	"net"
	"regexp"

	"golang.org/x/sys/unix"
)

// notTested marks the reason why a test in a namespace was skipped, for the test
// outside of it.
const notTested = "NOT TESTED: "

func skipReason(out []byte) string {
	return string(regexp.MustCompile(notTested + `.*`).Find(out))
}

// makeTap makes the tap interface, gives the host its address on it and starts it,
// as this would:
//
//	ip tuntap add tap0 mode tap vnet_hdr
//	ip address add 10.99.0.1/24 dev tap0
//	ip link set tap0 up
func makeTap() error {
	tun, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(tun)
	r, err := unix.NewIfreq(tapName)
	if err != nil {
		return err
	}
	r.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI | unix.IFF_VNET_HDR)
	if err := unix.IoctlIfreq(tun, unix.TUNSETIFF, r); err != nil {
		return err
	}
	if err := unix.IoctlSetInt(tun, unix.TUNSETPERSIST, 1); err != nil {
		return err
	}
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(s)
	return errors.Join(
		setAddress(s, unix.SIOCSIFADDR, net.ParseIP(tapHost)),
		setAddress(s, unix.SIOCSIFNETMASK, net.IPv4(255, 255, 255, 0)),
		setUp(s),
	)
}

func setAddress(s int, request uint, ip net.IP) error {
	r, err := unix.NewIfreq(tapName)
	if err != nil {
		return err
	}
	if err := r.SetInet4Addr(ip.To4()); err != nil {
		return err
	}
	return unix.IoctlIfreq(s, request, r)
}

func setUp(s int) error {
	r, err := unix.NewIfreq(tapName)
	if err != nil {
		return err
	}
	r.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return unix.IoctlIfreq(s, unix.SIOCSIFFLAGS, r)
}
