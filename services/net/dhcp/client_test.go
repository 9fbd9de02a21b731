package dhcp

import (
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/tuplix/tuplix/services/net/dhcp/dhcptest"
)

var (
	epoch  = time.Unix(1_700_000_000, 0)
	testHW = [6]byte{2, 0, 0, 0, 0, 7}
)

// bench runs a client against a server in virtual time.
type bench struct {
	t      *testing.T
	client *Client
	server *dhcptest.Server
	now    time.Time
	bound  []*Lease
	lost   []string
	sent   []*Message
}

func newBench(t *testing.T) *bench {
	return &bench{
		t:      t,
		client: New(testHW, "box", rand.New(rand.NewPCG(1, 2))),
		server: &dhcptest.Server{
			Own:     netip.MustParseAddr("10.0.2.2"),
			Offer:   netip.MustParsePrefix("10.0.2.15/24"),
			Gateway: netip.MustParseAddr("10.0.2.2"),
			DNS:     netip.MustParseAddr("10.0.2.3"),
			Lease:   time.Hour,
		},
		now: epoch,
	}
}

// do carries out an event, and what the server's answers lead to.
func (b *bench) do(ev Event, err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
	if ev.Lost != "" {
		b.lost = append(b.lost, ev.Lost)
	}
	if ev.Bound != nil {
		b.bound = append(b.bound, ev.Bound)
	}
	if ev.Send == nil {
		return
	}
	b.sent = append(b.sent, ev.Send)
	reply, err := b.server.Answer(ev.Send.Payload)
	if err != nil {
		b.t.Fatal(err)
	}
	if reply != nil {
		b.do(b.client.Receive(b.now, reply))
	}
}

// runUntil lets time pass.
func (b *bench) runUntil(end time.Time) {
	for b.client.Next().Before(end) {
		b.now = b.client.Next()
		b.do(b.client.Expire(b.now))
	}
	b.now = end
}

func TestAcquire(t *testing.T) {
	b := newBench(t)
	b.do(b.client.Start(b.now))
	if b.client.State() != Bound || len(b.bound) != 1 {
		t.Fatalf("state %v, %d leases", b.client.State(), len(b.bound))
	}
	l := b.bound[0]
	if l.Address != b.server.Offer || l.Server != b.server.Own || len(l.DNS) != 1 || l.DNS[0] != b.server.DNS {
		t.Errorf("lease %+v", l)
	}
	if len(l.Routes) != 1 || l.Routes[0].Gateway != b.server.Gateway || l.Routes[0].Destination.Bits() != 0 {
		t.Errorf("routes %+v", l.Routes)
	}
	if got := l.Renew.Sub(epoch); got != 30*time.Minute {
		t.Errorf("T1 after %v", got)
	}
}

func TestRenewIsUnicast(t *testing.T) {
	b := newBench(t)
	b.do(b.client.Start(b.now))
	b.runUntil(epoch.Add(31 * time.Minute))
	if len(b.bound) != 2 || b.client.State() != Bound {
		t.Fatalf("%d leases, %v", len(b.bound), b.client.State())
	}
	last := b.sent[len(b.sent)-1]
	if last.To != b.server.Own || last.From != b.server.Offer.Addr() {
		t.Errorf("renewal from %v to %v", last.From, last.To)
	}
	if len(b.lost) != 0 {
		t.Errorf("lost %v", b.lost)
	}
}

func TestRebindThenExpire(t *testing.T) {
	b := newBench(t)
	b.do(b.client.Start(b.now))
	b.server.Mute(true)
	b.runUntil(epoch.Add(53 * time.Minute))
	if b.client.State() != Rebinding || b.client.Lease() == nil {
		t.Fatalf("state %v", b.client.State())
	}
	if last := b.sent[len(b.sent)-1]; last.To.IsValid() {
		t.Errorf("rebinding to %v, want broadcast", last.To)
	}
	b.runUntil(epoch.Add(61 * time.Minute))
	if len(b.lost) != 1 || b.client.Lease() != nil || b.client.State() != Selecting {
		t.Fatalf("lost %v, state %v", b.lost, b.client.State())
	}
	b.server.Mute(false)
	b.runUntil(epoch.Add(70 * time.Minute))
	if b.client.State() != Bound || len(b.bound) != 2 {
		t.Fatalf("did not recover: %v", b.client.State())
	}
}

func TestNakStartsOver(t *testing.T) {
	b := newBench(t)
	b.do(b.client.Start(b.now))
	b.server.Refuse(true)
	b.runUntil(epoch.Add(30*time.Minute + time.Second))
	if len(b.lost) != 1 || b.client.State() != Selecting {
		t.Fatalf("lost %v, state %v", b.lost, b.client.State())
	}
	b.server.Refuse(false)
	b.runUntil(epoch.Add(31 * time.Minute))
	if b.client.State() != Bound {
		t.Fatalf("state %v", b.client.State())
	}
}

func TestRetransmissionBacksOff(t *testing.T) {
	b := newBench(t)
	b.server.Mute(true)
	b.do(b.client.Start(b.now))
	b.runUntil(epoch.Add(10 * time.Minute))
	if n := len(b.sent); n < 10 || n > 18 {
		t.Errorf("%d DISCOVERs in 10 minutes", n)
	}
}

func TestForeignMessagesAreDropped(t *testing.T) {
	b := newBench(t)
	b.server.Mute(true)
	b.do(b.client.Start(b.now))
	b.server.Mute(false)
	other := New([6]byte{2, 0, 0, 0, 0, 8}, "", rand.New(rand.NewPCG(3, 4)))
	ev, err := other.Start(b.now)
	if err != nil {
		t.Fatal(err)
	}
	reply, err := b.server.Answer(ev.Send.Payload)
	if err != nil {
		t.Fatal(err)
	}
	ev, err = b.client.Receive(b.now, reply)
	if err != nil || ev != (Event{}) || b.client.State() != Selecting {
		t.Errorf("acted on another's offer: %+v %v", ev, err)
	}
}

func TestClasslessRoutesWin(t *testing.T) {
	m, err := dhcpv4.New(
		dhcpv4.WithRouter([]byte{10, 0, 0, 1}),
		dhcpv4.WithGeneric(dhcpv4.OptionClasslessStaticRoute, []byte{8, 11, 10, 0, 0, 2, 0, 10, 0, 0, 3}))
	if err != nil {
		t.Fatal(err)
	}
	got := parseRoutes(m)
	if len(got) != 2 || got[0].Destination.String() != "11.0.0.0/8" || got[1].Gateway.String() != "10.0.0.3" {
		t.Errorf("routes %v", got)
	}
}

func FuzzReceive(f *testing.F) {
	b := &bench{server: &dhcptest.Server{
		Own: netip.MustParseAddr("10.0.2.2"), Offer: netip.MustParsePrefix("10.0.2.15/24"), Lease: time.Hour}}
	c := New(testHW, "box", rand.New(rand.NewPCG(1, 2)))
	ev, err := c.Start(epoch)
	if err != nil {
		f.Fatal(err)
	}
	offer, err := b.server.Answer(ev.Send.Payload)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(offer, offer)
	f.Add([]byte{}, []byte{2})
	f.Fuzz(func(t *testing.T, first, second []byte) {
		c := New(testHW, "box", rand.New(rand.NewPCG(1, 2)))
		if _, err := c.Start(epoch); err != nil {
			t.Fatal(err)
		}
		for _, p := range [][]byte{first, second} {
			ev, err := c.Receive(epoch.Add(time.Second), p)
			if err == nil && ev.Bound != nil && !usableHost(ev.Bound.Address.Addr()) {
				t.Fatalf("bound to %v", ev.Bound.Address)
			}
		}
		if !c.Next().After(epoch) {
			t.Fatal("no timer is set")
		}
	})
}
