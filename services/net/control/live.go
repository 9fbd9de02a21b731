package control

import (
	"database/sql"
	"time"

	"github.com/tuplix/tuplix/dbms/table"
)

// Network is the network as a whole. There is one row, "machine".
type Network struct {
	Name     string    `table:"key"` // "machine"
	Hostname string    // the machine's name, as it holds
	Search   string    // domains in which names are looked up, with spaces between
	Open     uint32    // connections that are open
	Skipped  uint64    // connections that were closed and not written, since boot
	Denied   uint64    // frames that the firewall did not admit, since boot
	Batch    uint64    // how often the recorder has written since boot
	Booted   time.Time // when the recorder began
}

// LiveInterface is an interface as it is.
type LiveInterface struct {
	Name      string `table:"key"` // "lo", "eth0" and so on
	Index     uint32 // its number
	MAC       string // the device's address; "": none
	MTU       uint32 // the largest IP packet in bytes
	Up        bool   // it is used
	Mode      Mode   // how it gets its IPv4 address
	Source    string // who said so: "command line", "table", or "default"
	State     string // of the DHCP client; "": there is none
	Problem   string // why it could not be configured; "": it could
	RxPackets uint64 // frames received since boot; the counters are as of the last batch
	RxBytes   uint64 // in them
	TxPackets uint64 // frames sent
	TxBytes   uint64 // in them
	TxDropped uint64 // frames that found no room
}

// LiveAddress is an address that an interface has.
type LiveAddress struct {
	Interface string `table:"key"` // which
	Address   string `table:"key"` // with the length of its subnet's prefix
	Source    string // "configured", "dhcp", or "automatic": of the link itself, or by IPv6 autoconfiguration
}

// LiveRoute is a route that is used.
type LiveRoute struct {
	Position    uint32 `table:"key"` // the order of preference
	Destination string // the subnet
	Gateway     string // the router; "": the subnet is on the link
	Interface   string // by which
}

// LiveResolver is a name server that is used.
type LiveResolver struct {
	Position uint32 `table:"key"` // the order in which they are asked
	Address  string // its address
}

// Lease is what a DHCP server has granted to an interface.
type Lease struct {
	Interface   string    `table:"key"` // which
	Address     string    // with the length of its subnet's prefix
	Server      string    // who granted it
	Routers     string    // default routers, with spaces between, as all lists here
	Resolvers   string    // name servers
	TimeServers string    // time servers (option 42)
	Domain      string    // the local domain
	Hostname    string    // how the server would have the machine called
	Obtained    time.Time // when it was granted, or prolonged last
	Renew       time.Time // when its server is asked to prolong it
	Rebind      time.Time // when any server is
	Expire      time.Time // when it ends
}

// Neighbor is a station on a link.
type Neighbor struct {
	Interface string `table:"key"` // which
	Address   string `table:"key"` // its IP address
	MAC       string // its address on the link; "": not known
	State     string // how sure that is, in the words of RFC 4861
}

// Listener is a socket that takes connections, or datagrams from anywhere.
type Listener struct {
	ID       uint64    `table:"key"` // rises with each socket since boot
	Protocol string    // "tcp" or "udp"
	Address  string    // ours; "::": all
	Port     uint16    // ours
	Program  string    // whose
	Task     string    // in which task; "": none
	Opened   time.Time // when
}

// Connection is a socket with a peer.
type Connection struct {
	ID       uint64              `table:"key"` // rises with each, also over boots
	Protocol string              // "tcp" or "udp"
	Inbound  bool                // the peer began
	Address  string              // ours
	Port     uint16              // ours
	Peer     string              // the peer's address
	PeerPort uint16              // the peer's
	State    string              // in the words of RFC 9293; of a closed one, just before; "LOST": the machine went down
	Program  string              // whose
	Task     string              // in which task; "": none
	Opened   time.Time           // when it was begun, or accepted
	Closed   sql.Null[time.Time] // when the program closed it; null: it is open
	Received uint64              // bytes that the program has read
	Sent     uint64              // bytes that the program has written
}

// Hits is how often a rule of the firewall has decided.
type Hits struct {
	Position uint32 `table:"key"` // the rule's
	Rule     string // as text
	Hits     uint64 // since the rules were changed last, or since boot
}

// Clock is how the machine's clock is kept. There is one row, "machine", once there are
// time servers.
type Clock struct {
	Name         string        `table:"key"` // "machine"
	Synchronized bool          // the last round of questions found the time
	Offset       time.Duration // what had to be added to the clock then
	Steps        uint64        // how often the clock was set at once, since boot
	At           time.Time     // of the last round
	Next         time.Time     // of the next
}

// TimeServer is a server that is asked for the time.
type TimeServer struct {
	Name    string        `table:"key"` // its name or address
	Source  string        // "setting", or "dhcp"
	Stratum uint8         // how far it is from a reference clock
	Offset  time.Duration // what it would have added to the clock
	Delay   time.Duration // of the question and its answer
	At      time.Time     // when it was asked last
	Problem string        // why it was not believed; "": it was
}

// Problem is a row of what is wanted that cannot be applied, and is left out.
type Problem struct {
	Table   string `table:"key"` // of the row
	Row     string `table:"key"` // its key
	Problem string // why
}

// The tables of what is.
var (
	Networks       = table.Declare[Network]("os.network")
	LiveInterfaces = table.Declare[LiveInterface]("os.live_interfaces")
	LiveAddresses  = table.Declare[LiveAddress]("os.live_addresses")
	LiveRoutes     = table.Declare[LiveRoute]("os.live_routes")
	LiveResolvers  = table.Declare[LiveResolver]("os.live_resolvers")
	Leases         = table.Declare[Lease]("os.dhcp_leases")
	Neighbors      = table.Declare[Neighbor]("os.neighbors")
	Listeners      = table.Declare[Listener]("os.listeners")
	Connections    = table.Declare[Connection]("os.connections")
	RuleHits       = table.Declare[Hits]("os.firewall_hits")
	Clocks         = table.Declare[Clock]("os.clock")
	TimeServers    = table.Declare[TimeServer]("os.time_servers")
	Problems       = table.Declare[Problem]("os.network_problems")

	stillOpen = Connections.Index("open", "id").Where("closed is null")
)

// seen are the tables that the recorder writes.
func seen() []table.Declared {
	return []table.Declared{Networks, LiveInterfaces, LiveAddresses, LiveRoutes, LiveResolvers, Leases,
		Neighbors, Listeners, Connections, RuleHits, Clocks, TimeServers}
}
