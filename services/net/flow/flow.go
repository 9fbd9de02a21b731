package flow

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// MaxClosed is how many connections that have ended are remembered between two
// calls of Take.
const MaxClosed = 4096

// Protocols of flows.
const (
	TCP = "tcp"
	UDP = "udp"
)

// Owner is who has a socket.
type Owner struct {
	Program string // the program, as tasks or the image name it
	Task    string // the task in which it runs, "" for none
}

// Listener is a socket that takes connections or datagrams.
type Listener struct {
	ID       uint64 // rises with each listener and connection since boot
	Protocol string
	Local    netip.AddrPort // an unspecified address: all of the machine's
	Owner    Owner
	Opened   time.Time
	registry *Registry
}

// Connection is a socket with a peer.
type Connection struct {
	ID            uint64 // rises with each listener and connection since boot
	Protocol      string
	Inbound       bool // the peer began
	Local, Remote netip.AddrPort
	Owner         Owner
	Opened        time.Time

	// Received and Sent count the bytes of the program's reads and writes.
	Received, Sent atomic.Uint64

	state    func() string
	end      atomic.Pointer[end]
	registry *Registry
}

// end is how a connection was when it was closed.
type end struct {
	state string
	at    time.Time
}

// State is the transport's name for where the connection is, such as ESTABLISHED,
// or was when it was closed.
func (c *Connection) State() string {
	if e := c.end.Load(); e != nil {
		return e.state
	}
	return c.state()
}

// Closed returns when the connection was closed; ok is false while it is open.
func (c *Connection) Closed() (at time.Time, ok bool) {
	if e := c.end.Load(); e != nil {
		return e.at, true
	}
	return time.Time{}, false
}

// Registry has all listeners and connections. The zero Registry is empty. Its
// methods are safe for concurrent use.
type Registry struct {
	mu          sync.Mutex
	next        uint64
	listeners   map[uint64]*Listener
	connections map[uint64]*Connection
	closed      []*Connection // since the last Take
	lost        uint64        // closed ones that did not fit

	changed func()
}

// OnChange has f called whenever there is something new to Take, on the goroutine
// that caused it, with no lock held. f must not block. What changed before is not
// kept for Take; see Open and Listeners. It is called once.
func (r *Registry) OnChange(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.changed = f
}

// unlock ends a change and tells of it.
func (r *Registry) unlock() {
	f := r.changed
	r.mu.Unlock()
	if f != nil {
		f()
	}
}

// Listen enters a listener.
func (r *Registry) Listen(protocol string, local netip.AddrPort, owner Owner) *Listener {
	l := &Listener{Protocol: protocol, Local: local, Owner: owner, Opened: time.Now(), registry: r}
	r.mu.Lock()
	defer r.unlock()
	if r.listeners == nil {
		r.listeners = map[uint64]*Listener{}
	}
	r.next++
	l.ID = r.next
	r.listeners[l.ID] = l
	return l
}

// Close takes the listener out. It may be called once.
func (l *Listener) Close() {
	l.registry.mu.Lock()
	defer l.registry.unlock()
	delete(l.registry.listeners, l.ID)
}

// Connect enters a connection. Its state is asked for now and then; it must not
// block.
func (r *Registry) Connect(protocol string, inbound bool, local, remote netip.AddrPort, owner Owner, state func() string) *Connection {
	c := &Connection{Protocol: protocol, Inbound: inbound, Local: local, Remote: remote, Owner: owner,
		Opened: time.Now(), state: state, registry: r}
	r.mu.Lock()
	defer r.unlock()
	if r.connections == nil {
		r.connections = map[uint64]*Connection{}
	}
	r.next++
	c.ID = r.next
	r.connections[c.ID] = c
	return c
}

// Close takes the connection out. It may be called once, by the socket's closing;
// the state before counts as that of the end.
func (c *Connection) Close() {
	c.end.Store(&end{c.state(), time.Now()})
	r := c.registry
	r.mu.Lock()
	defer r.unlock()
	delete(r.connections, c.ID)
	switch {
	case r.changed == nil:
	case len(r.closed) < MaxClosed:
		r.closed = append(r.closed, c)
	default:
		r.lost++
	}
}

// News is what Take returns.
type News struct {
	Closed []*Connection // connections that were
	Lost   uint64        // further ones, which did not fit
}

// Take returns what was closed since the last call.
func (r *Registry) Take() News {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := News{Closed: r.closed, Lost: r.lost}
	r.closed, r.lost = nil, 0
	return n
}

// Listeners returns all listeners, in no order.
func (r *Registry) Listeners() []*Listener {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := make([]*Listener, 0, len(r.listeners))
	for _, l := range r.listeners {
		list = append(list, l)
	}
	return list
}

// Open returns all connections that are open, in no order.
func (r *Registry) Open() []*Connection {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := make([]*Connection, 0, len(r.connections))
	for _, c := range r.connections {
		list = append(list, c)
	}
	return list
}

// Program returns which program listens on a port, "" if none is known to.
func (r *Registry) Program(protocol string, port uint16) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, l := range r.listeners {
		if l.Local.Port() == port && l.Protocol == protocol {
			return l.Owner.Program
		}
	}
	return ""
}
