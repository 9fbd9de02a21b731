package control

import (
	"github.com/tuplix/tuplix/dbms/table"
	"github.com/tuplix/tuplix/services/config"
	"github.com/tuplix/tuplix/services/net"
)

// Mode is how an interface gets its IPv4 address. All but None autoconfigure IPv6.
type Mode string

// The modes.
const (
	DHCP   Mode = "dhcp"
	Static Mode = "static" // by os.addresses only
	None   Mode = "none"   // the interface stays down
)

// EveryInterface is the name that stands for all interfaces without a row of their
// own.
const EveryInterface = "*"

// Interface is how an interface of the network is to be.
type Interface struct {
	Name string `table:"key"` // "eth0" and so on; "*": each that has no row of its own
	Mode Mode   // how it gets its IPv4 address: dhcp, static (os.addresses), or none: it stays down
	MTU  uint16 // the largest IP packet in bytes; 0: what the device can
}

// Address is an address that an interface is to have; with DHCP, besides the lease.
type Address struct {
	Interface string `table:"key"` // which
	Address   string `table:"key"` // with the length of its subnet's prefix, as 192.0.2.7/24
}

// Route is a way to a subnet, besides those that follow from addresses and leases.
type Route struct {
	Destination string `table:"key"` // a subnet as 192.0.2.0/24; 0.0.0.0/0 and ::/0 are all others
	Interface   string `table:"key"` // by which
	Gateway     string `table:"key"` // the router; "": the subnet is on the link
	Metric      uint32 // of two to the same subnet the lesser is taken
}

// Resolver is a name server. If there are any, they are used in place of those that
// leases and routers tell.
type Resolver struct {
	Position uint32 `table:"key"` // they are asked in this order
	Address  string // its address
}

// Rule is one of the firewall's. The first that fits decides; where none does,
// it is allowed.
type Rule struct {
	Position  uint32 `table:"key"` // the order in which rules are asked
	Action    string // "allow" or "deny"
	Direction string // "in" or "out": who begins
	Protocol  string // "tcp", "udp" or "icmp"; "": any
	Peer      string // the other end's address, or a subnet; "": any
	FirstPort uint16 // of the ports: ours for "in", the other end's for "out"; 0: any
	LastPort  uint16 // the last of the ports
	Program   string // which program listens or sends; "": any
	Doc       string // why, for people
	Off       bool   // it is not asked
}

// The tables of what is wanted.
var (
	Interfaces = table.Declare[Interface]("os.interfaces").
			Check("mode", "mode = 'dhcp' or mode = 'static' or mode = 'none'").
			Check("mtu", "mtu = 0 or mtu >= 1280")
	Addresses = table.Declare[Address]("os.addresses")
	Routes    = table.Declare[Route]("os.routes")
	Resolvers = table.Declare[Resolver]("os.resolvers")
	Rules     = table.Declare[Rule]("os.firewall").
			Check("action", "action = 'allow' or action = 'deny'").
			Check("direction", "direction = 'in' or direction = 'out'").
			Check("protocol", "protocol = '' or protocol = 'tcp' or protocol = 'udp' or protocol = 'icmp'").
			Check("ports", "first_port <= last_port and (first_port > 0 or last_port = 0)").
			Check("ports_of", "first_port = 0 or protocol = 'tcp' or protocol = 'udp'")
)

// wanted are the tables that people write.
func wanted() []table.Declared {
	return []table.Declared{Interfaces, Addresses, Routes, Resolvers, Rules}
}

// Tables returns the tables that the package owns.
func Tables() []table.Declared { return append(append(wanted(), Problems), seen()...) }

// Wanted returns those of them that people write.
func Wanted() []table.Declared { return wanted() }

// Hostname is the machine's name.
var Hostname = config.Text("net.hostname", "", "The machine's name; without one, a DHCP lease's, or "+net.DefaultHostname+".").
	Check("letters, digits, - and ., at most 64", func(name string) error {
		if name == "" {
			return nil
		}
		return net.CheckHostname(name)
	})

// TimeServersSetting names the time servers.
var TimeServersSetting = config.Text("time.servers", "", "Time servers (NTP), with spaces between; none: a DHCP lease's; \"none\": the clock is left alone.")

// Settings returns the settings that the package declares.
func Settings() []config.Declared { return []config.Declared{Hostname, TimeServersSetting} }
