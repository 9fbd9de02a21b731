package network

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"github.com/tuplix/tuplix/apps/shell/command"
)

var (
	ipCommand = &command.Command{
		Name: "ip", Usage: "[addr | link | route]", Summary: "print the network interfaces, addresses and routes", Run: ip,
	}
	ifconfigCommand = &command.Command{
		Name: "ifconfig", Usage: "[interface...]", Summary: "print the network interfaces and their addresses", Run: ifconfig,
	}
)

func ip(_ context.Context, c *command.Call) error {
	args, err := c.Options().Parse(0, 2)
	if err != nil {
		return err
	}
	what := ""
	if len(args) > 0 {
		what = args[0]
	}
	if len(args) == 2 && args[1] != "show" && args[1] != "list" {
		return command.Usagef("ip shows, but does not change; the command net does")
	}
	switch {
	case what == "":
		if err := interfaces(c, nil, true); err != nil {
			return err
		}
		return routes(c)
	case strings.HasPrefix("address", what):
		return interfaces(c, nil, true)
	case strings.HasPrefix("link", what):
		return interfaces(c, nil, false)
	case strings.HasPrefix("route", what):
		return routes(c)
	}
	return command.Usagef("%q is neither addr nor link nor route", what)
}

func ifconfig(_ context.Context, c *command.Call) error {
	names, err := c.Options().Parse(0, -1)
	if err != nil {
		return err
	}
	return interfaces(c, names, true)
}

// interfaces prints the named interfaces, or all.
func interfaces(c *command.Call, names []string, addresses bool) error {
	var list []net.Interface
	for _, name := range names {
		i, err := net.InterfaceByName(name)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		list = append(list, *i)
	}
	if len(names) == 0 {
		var err error
		if list, err = net.Interfaces(); err != nil {
			return err
		}
	}
	for _, i := range list {
		fmt.Fprintf(c.Out, "%d: %s: <%s> mtu %d\n", i.Index, i.Name, strings.ReplaceAll(i.Flags.String(), "|", ","), i.MTU)
		if len(i.HardwareAddr) > 0 {
			fmt.Fprintf(c.Out, "    link %s\n", i.HardwareAddr)
		}
		if !addresses {
			continue
		}
		addrs, err := i.Addrs()
		if err != nil {
			return fmt.Errorf("%s: %w", i.Name, err)
		}
		for _, a := range addrs {
			kind := "inet6"
			if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil {
				kind = "inet"
			}
			fmt.Fprintf(c.Out, "    %s %s\n", kind, a)
		}
	}
	return nil
}

// route is one line of the routing table.
type route struct {
	device  string
	prefix  netip.Prefix
	gateway netip.Addr // unspecified where there is none
	metric  int
}

func (r route) String() string {
	to := r.prefix.String()
	if r.prefix.Bits() == 0 {
		to = "default"
	}
	if !r.gateway.IsUnspecified() {
		to += " via " + r.gateway.String()
	}
	to += " dev " + r.device
	if r.metric != 0 {
		to += " metric " + strconv.Itoa(r.metric)
	}
	return to
}

func routes(c *command.Call) error {
	failed := 0
	for _, table := range []struct {
		file  string
		parse func(io.Reader) ([]route, error)
	}{{"/proc/net/route", parseRoutes4}, {"/proc/net/ipv6_route", parseRoutes6}} {
		f, err := os.Open(table.file)
		if os.IsNotExist(err) {
			failed++
			continue
		}
		if err != nil {
			return err
		}
		list, err := table.parse(f)
		f.Close() // opened for reading
		if err != nil {
			return fmt.Errorf("%s: %w", table.file, err)
		}
		for _, r := range list {
			fmt.Fprintln(c.Out, r)
		}
	}
	if failed == 2 {
		return fmt.Errorf("the system shows no routes: there is no /proc/net/route")
	}
	return nil
}

// parseRoutes4 reads /proc/net/route: a header line, then fields of which the
// first eight are interface, destination, gateway, flags, references, use,
// metric and mask. Addresses are in hexadecimal as a little-endian processor
// reads the four bytes.
func parseRoutes4(r io.Reader) ([]route, error) {
	var list []route
	lines := bufio.NewScanner(r)
	for first := true; lines.Scan(); first = false {
		f := strings.Fields(lines.Text())
		if first || len(f) < 8 {
			continue
		}
		destination, err1 := address4(f[1])
		gateway, err2 := address4(f[2])
		mask, err3 := address4(f[7])
		metric, err4 := strconv.Atoi(f[6])
		if err1 != nil || err2 != nil || err3 != nil || err4 != nil {
			return nil, fmt.Errorf("%q is not a route", lines.Text())
		}
		bits, _ := net.IPMask(mask.AsSlice()).Size()
		list = append(list, route{f[0], netip.PrefixFrom(destination, bits), gateway, metric})
	}
	return list, lines.Err()
}

func address4(text string) (netip.Addr, error) {
	n, err := strconv.ParseUint(text, 16, 32)
	var b [4]byte
	binary.LittleEndian.PutUint32(b[:], uint32(n))
	return netip.AddrFrom4(b), err
}

// parseRoutes6 reads /proc/net/ipv6_route, whose fields are destination, its
// prefix length, source, its prefix length, next hop, metric, references, use,
// flags and interface, all numbers in hexadecimal. Routes to the machine itself
// and to groups are left out.
func parseRoutes6(r io.Reader) ([]route, error) {
	const local = 0x80000000 // RTF_LOCAL
	var list []route
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		if len(f) < 10 {
			continue
		}
		destination, err1 := address6(f[0])
		bits, err2 := strconv.ParseUint(f[1], 16, 8)
		gateway, err3 := address6(f[4])
		metric, err4 := strconv.ParseUint(f[5], 16, 32)
		flags, err5 := strconv.ParseUint(f[8], 16, 32)
		if err1 != nil || err2 != nil || err3 != nil || err4 != nil || err5 != nil || bits > 128 {
			return nil, fmt.Errorf("%q is not a route", lines.Text())
		}
		if flags&local != 0 || destination.IsMulticast() || f[9] == "lo" {
			continue
		}
		list = append(list, route{f[9], netip.PrefixFrom(destination, int(bits)), gateway, int(metric)})
	}
	return list, lines.Err()
}

func address6(text string) (netip.Addr, error) {
	raw, err := hex.DecodeString(text)
	if err != nil || len(raw) != 16 {
		return netip.Addr{}, fmt.Errorf("%q is not an address", text)
	}
	return netip.AddrFrom16([16]byte(raw)), nil
}
