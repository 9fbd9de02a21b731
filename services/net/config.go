package net

import (
	"fmt"
	"net/netip"
	"strings"
)

// Mode is how an interface gets its IPv4 address.
type Mode uint8

// The modes. All but None also autoconfigure IPv6 (SLAAC).
const (
	DHCP Mode = iota
	Static
	None // the interface stays down
	// Later asks for no lease and has no IPv4 address yet, and keeps Ready from being
	// closed: another configuration is about to come, by Apply.
	Later
)

// Interface is the wanted configuration of one interface.
type Interface struct {
	Device    string // name, such as eth0; empty: any not named elsewhere
	Mode      Mode
	MTU       int            // largest IP packet in bytes; 0, or more than the device's: the device's
	Addresses []netip.Prefix // own addresses with their subnets' lengths; with DHCP in addition to the lease
	Gateways  []netip.Addr   // default routers, at most one per family
	Routes    []Route        // others
	DNS       []netip.Addr   // name servers; they replace learnt ones
}

// Route is a way to a subnet, by an interface.
type Route struct {
	Destination netip.Prefix
	Gateway     netip.Addr // not valid: the destination is on the link
	Metric      uint32     // of two to one destination the lesser is taken
}

// Config is the wanted configuration of the machine's network.
type Config struct {
	Hostname   string
	Interfaces []Interface  // none: DHCP on every interface
	DNS        []netip.Addr // name servers; they replace those of all interfaces
}

// ParseCommandLine reads the network's part of a kernel command line:
//
//	ip=dhcp
//	ip=none
//	ip=192.168.1.5/24,fd00::5/64,gw=192.168.1.1,dns=1.1.1.1
//	ip=dhcp,dev=eth1
//	hostname=box
//
// ip= may be given once per device. Other words are not looked at, nor are
// those after a "--".
func ParseCommandLine(line string) (Config, error) {
	var c Config
	for word := range strings.FieldsSeq(line) {
		if word == "--" {
			break
		}
		key, value, _ := strings.Cut(word, "=")
		switch key {
		case "hostname":
			if err := CheckHostname(value); err != nil {
				return Config{}, err
			}
			c.Hostname = value
		case "ip":
			i, err := parseInterface(value)
			if err != nil {
				return Config{}, fmt.Errorf("net: in %q: %w", word, err)
			}
			c.Interfaces = append(c.Interfaces, i)
		}
	}
	return c, c.check()
}

// check refuses two configurations for the same device.
func (c Config) check() error {
	seen := map[string]bool{}
	for _, i := range c.Interfaces {
		if seen[i.Device] {
			return fmt.Errorf("net: more than one ip= for device %q", i.Device)
		}
		seen[i.Device] = true
	}
	return nil
}

// ForDevice returns what is wanted of a device.
func (c Config) ForDevice(name string) Interface {
	for _, i := range c.Interfaces {
		if i.Device == name {
			return i
		}
	}
	for _, i := range c.Interfaces {
		if i.Device == "" {
			return i
		}
	}
	if len(c.Interfaces) > 0 {
		return Interface{Mode: None}
	}
	return Interface{Mode: DHCP}
}

// CheckHostname returns what is wrong with a name, or nil. It follows RFC 1123, 2.1,
// and Linux's limit of 64 bytes.
func CheckHostname(s string) error {
	if s == "" || len(s) > 64 {
		return fmt.Errorf("net: hostname of %d bytes, want 1 to 64", len(s))
	}
	for _, r := range s {
		if !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.", r) {
			return fmt.Errorf("net: hostname %q has a %q", s, r)
		}
	}
	return nil
}

func parseInterface(value string) (Interface, error) {
	i := Interface{Mode: Static}
	for n, item := range strings.Split(value, ",") {
		key, v, option := strings.Cut(item, "=")
		var err error
		switch {
		case option:
			err = i.option(key, v)
		case n == 0 && item == "dhcp":
			i.Mode = DHCP
		case n == 0 && item == "none":
			i.Mode = None
		default:
			err = i.address(item)
		}
		if err != nil {
			return Interface{}, err
		}
	}
	return i, i.check()
}

func (i *Interface) address(item string) error {
	p, err := netip.ParsePrefix(item)
	if err != nil {
		return fmt.Errorf("%q is neither dhcp, none nor an address with its prefix length", item)
	}
	if err := CheckAddress(p); err != nil {
		return err
	}
	i.Addresses = append(i.Addresses, p)
	return nil
}

// CheckAddress returns why an interface cannot have an address, or nil.
func CheckAddress(p netip.Prefix) error {
	a := p.Addr()
	if !p.IsValid() || a.IsUnspecified() || a.IsMulticast() || a.Is4In6() || p.Bits() == 0 {
		return fmt.Errorf("%v can not be a host's address", p)
	}
	return nil
}

// CheckHost returns why an address is not that of another host, or nil.
func CheckHost(a netip.Addr) error {
	if !a.IsValid() || a.IsUnspecified() || a.IsMulticast() || a.Is4In6() {
		return fmt.Errorf("%v is not a host's address", a)
	}
	return nil
}

// Check returns what is wrong with a route of this interface, or nil.
func (r Route) Check() error {
	switch {
	case !r.Destination.IsValid() || r.Destination.Addr().Is4In6() || r.Destination != r.Destination.Masked():
		return fmt.Errorf("%v is no subnet", r.Destination)
	case !r.Gateway.IsValid():
		return nil
	case r.Gateway.Is4() != r.Destination.Addr().Is4():
		return fmt.Errorf("gateway %v is of another family than %v", r.Gateway, r.Destination)
	}
	return CheckHost(r.Gateway)
}

func (i *Interface) option(key, v string) error {
	if key == "dev" {
		if v == "" || len(v) > 15 {
			return fmt.Errorf("device name %q, want 1 to 15 bytes", v)
		}
		i.Device = v
		return nil
	}
	a, err := netip.ParseAddr(v)
	if err != nil || CheckHost(a) != nil {
		return fmt.Errorf("%s=%s: not a host's address", key, v)
	}
	switch key {
	case "gw":
		i.Gateways = append(i.Gateways, a)
	case "dns":
		i.DNS = append(i.DNS, a)
	default:
		return fmt.Errorf("unknown option %q; there are gw, dns and dev", key)
	}
	return nil
}

func (i *Interface) check() error {
	if i.Mode != Static {
		if len(i.Addresses) > 0 || len(i.Gateways) > 0 {
			return fmt.Errorf("addresses and gateways are for static configuration only")
		}
		return nil
	}
	if len(i.Addresses) == 0 {
		return fmt.Errorf("no address")
	}
	var v4, v6 int
	for _, gw := range i.Gateways {
		if gw.Is4() {
			v4++
		} else {
			v6++
		}
		if !i.Reaches(gw) {
			return fmt.Errorf("gateway %v is in none of the subnets", gw)
		}
	}
	if v4 > 1 || v6 > 1 {
		return fmt.Errorf("more than one gateway of a family")
	}
	return nil
}

// Reaches reports whether a router is on a subnet of the interface's addresses.
func (i *Interface) Reaches(gw netip.Addr) bool {
	if gw.IsLinkLocalUnicast() && gw.Is6() {
		return true
	}
	for _, p := range i.Addresses {
		if p.Contains(gw) {
			return true
		}
	}
	return false
}
