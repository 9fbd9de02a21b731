package net

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/stack"

	"github.com/tuplix/tuplix/services/net/dhcp"
	"github.com/tuplix/tuplix/services/net/firewall"
	"github.com/tuplix/tuplix/services/net/flow"
	"github.com/tuplix/tuplix/services/net/link"
)

// Options of the service.
type Options struct {
	Config Config
	// Memory is the machine's memory in bytes; TCP's buffers are sized by it.
	Memory uint64
	// Resolver is told the name servers and search domains, when they change
	// and at first. May be nil. It is called by one goroutine at a time.
	Resolver func(servers []netip.Addr, search []string)
	// Monotonic is a clock that is cheap to read and never goes back, for
	// TCP's timing. nil: package time's.
	Monotonic func() time.Duration
	// Hostname is told the machine's name, when the configuration or a lease says
	// one and when that changes; "" when none does any more. May be nil. It is called
	// by one goroutine at a time.
	Hostname func(name string)
	// Log is told what an administrator may want to know. May be nil.
	Log func(format string, args ...any)
}

// Service is the running network. Its methods are safe for concurrent use.
type Service struct {
	opts   Options
	stack  *stack.Stack
	events *eventQueue
	quit   chan struct{}  // closed by Close
	done   sync.WaitGroup // DHCP clients and the configurator
	flows  flow.Registry
	filter atomic.Pointer[firewall.Filter]
	sent   *firewall.Tracker // of all filters
	notify atomic.Pointer[func()]

	ready     chan struct{}
	readyOnce sync.Once
	readyErr  error // valid once ready is closed

	// mu protects what the configurator writes and Snapshot reads.
	mu      sync.Mutex
	ifaces  []*iface
	config  Config // as applied last
	name    string // of the machine, as told last
	started bool
	closed  bool
	servers []netip.Addr
	search  []string
	waiting []func() // run when ready

	groups groups
}

// iface is an attached interface. The configurator owns what is not constant.
type iface struct {
	nic    tcpip.NICID
	name   string
	mac    [6]byte
	link   *link.Endpoint
	want   Interface
	set    bool           // want has been applied
	up     bool           // the stack uses it
	client *dhcpClient    // nil without one
	static []netip.Prefix // addresses of want that the stack has
	lease  *dhcp.Lease
	state  string // of the DHCP client, for people
	failed error
	good   bool // has, or had, a usable configuration

	routers  []netip.Addr             // from router advertisements
	prefixes []netip.Prefix           // on the link, from the same
	rdnss    map[netip.Addr]time.Time // name servers from the same, with their end

	rdnssTimer *time.Timer // fires at the first end
}

// New makes the service with its loopback interface, and nothing attached.
func New(o Options) (*Service, error) {
	if o.Memory == 0 {
		return nil, errors.New("net: the machine's memory is not given")
	}
	if o.Resolver == nil {
		o.Resolver = func([]netip.Addr, []string) {}
	}
	if o.Log == nil {
		o.Log = func(string, ...any) {}
	}
	if o.Hostname == nil {
		o.Hostname = func(string) {}
	}
	s := &Service{opts: o, config: o.Config, events: newEventQueue(), ready: make(chan struct{}), quit: make(chan struct{}),
		sent: firewall.NewTracker(o.Monotonic)}
	st, err := newStack(o.Memory, newClock(o.Monotonic), (*ndpEvents)(s), (*neighborEvents)(s))
	if err != nil {
		return nil, err
	}
	s.stack = st
	s.updateRoutes()
	return s, nil
}

// Stack is the TCP/IP stack, for making endpoints.
func (s *Service) Stack() *stack.Stack { return s.stack }

// Flows is who listens and who is connected. The sockets enter themselves.
func (s *Service) Flows() *flow.Registry { return &s.flows }

// Attach adds a device as an interface of that name, such as eth0. It is to be
// called before Start.
func (s *Service) Attach(name string, dev link.Device) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.started {
		return errors.New("net: Attach after Start")
	}
	i := &iface{
		nic:   LoopbackNIC + 1 + tcpip.NICID(len(s.ifaces)),
		name:  name,
		mac:   dev.MAC(),
		rdnss: map[netip.Addr]time.Time{},
	}
	ep := link.New(dev, func(err error) {
		s.events.post(func() { s.linkFailed(i, err) })
	})
	// Disabled until Start: its first packets belong to its configuration.
	i.link = ep
	opts := stack.NICOptions{Name: name, Disabled: true}
	if err := s.stack.CreateNICWithOptions(i.nic, ep, opts); err != nil {
		return fmt.Errorf("net: attaching %s: %v", name, err)
	}
	s.ifaces = append(s.ifaces, i)
	return nil
}

// SetStore has what leaves the machine wait, from now on, until all that it may tell of
// is durable in the store. If that will never be, because the store has failed, nothing
// leaves any more, and Log is told.
func (s *Service) SetStore(store link.Store) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, i := range s.ifaces {
		i.link.SetStore(store, func(err error) {
			s.opts.Log("%s: NOTHING IS SENT any more, as it would tell of what the store may have lost; restart the machine: %v", i.name, err)
		})
	}
}

// Drain returns when nothing that was sent waits for the store any more, or when ctx ends.
func (s *Service) Drain(ctx context.Context) {
	s.mu.Lock()
	ifaces := slices.Clone(s.ifaces)
	s.mu.Unlock()
	for _, i := range ifaces {
		i.link.Drain(ctx)
	}
}

// Start configures all attached interfaces as the Options say. It does not wait; see
// Ready.
func (s *Service) Start() error {
	s.mu.Lock()
	if s.started {
		s.mu.Unlock()
		return errors.New("net: started twice")
	}
	s.started = true
	s.mu.Unlock()
	s.done.Go(func() { s.events.run() })
	s.events.post(s.begin)
	return nil
}

// Close stops the DHCP clients, the devices that can be closed and the stack.
// Leases are not given back. It blocks until a device that cannot be closed
// fails, so it is for tests and for the end of a process.
func (s *Service) Close() {
	s.mu.Lock()
	started, closed := s.started, s.closed
	s.closed = true
	s.mu.Unlock()
	if closed {
		return
	}
	close(s.quit)
	s.events.close()
	if started {
		s.done.Wait()
	}
	s.settle(errors.New("net: closed"))
	for _, i := range s.ifaces {
		i.link.Close()
		i.link.Wait()
	}
	s.stack.Destroy()
}

// Ready is closed when the network is configured or has failed to be; see Err.
func (s *Service) Ready() <-chan struct{} { return s.ready }

// Err returns why the network is not configured, or nil. It is meaningful
// once Ready is closed.
func (s *Service) Err() error {
	select {
	case <-s.ready:
		return s.readyErr
	default:
		return nil
	}
}

// WhenReady runs f once Ready is closed: at once on the calling goroutine, or
// later on another. f must not block.
func (s *Service) WhenReady(f func()) {
	s.mu.Lock()
	select {
	case <-s.ready:
		s.mu.Unlock()
		f()
	default:
		s.waiting = append(s.waiting, f)
		s.mu.Unlock()
	}
}

// settle closes Ready, the first time.
func (s *Service) settle(err error) {
	s.readyOnce.Do(func() {
		s.mu.Lock()
		s.readyErr = err
		close(s.ready)
		waiting := s.waiting
		s.waiting = nil
		s.mu.Unlock()
		for _, f := range waiting {
			f()
		}
	})
}

// checkReady settles when an interface is good or none can become so.
func (s *Service) checkReady() {
	var errs []error
	for _, i := range s.ifaces {
		if i.good {
			s.settle(nil)
			return
		}
		if i.failed != nil {
			errs = append(errs, i.failed)
		}
	}
	if len(errs) == len(s.ifaces) {
		s.settle(errors.Join(errs...))
	}
}

// byNIC finds an interface. The list does not change after Start.
func (s *Service) byNIC(nic tcpip.NICID) *iface {
	k := slices.IndexFunc(s.ifaces, func(i *iface) bool { return i.nic == nic })
	if k < 0 {
		return nil
	}
	return s.ifaces[k]
}

// OnChange has f called when a Snapshot would show something new, counters aside. It
// must not block nor call the service: locks may be held.
func (s *Service) OnChange(f func()) { s.notify.Store(&f) }

func (s *Service) changed() {
	if f := s.notify.Load(); f != nil {
		(*f)()
	}
}

// Devices returns the names of the attached interfaces.
func (s *Service) Devices() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var names []string
	for _, i := range s.ifaces {
		names = append(names, i.name)
	}
	return names
}
