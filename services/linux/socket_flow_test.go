package linux

import (
	"context"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/tuplix/tuplix/services/net"
	"github.com/tuplix/tuplix/services/net/firewall"
	"github.com/tuplix/tuplix/services/user"
)

// Sockets are listed while they listen and are connected, with what they moved and
// whose they are.
func TestSocketFlows(t *testing.T) {
	system, k := socketSystem(t)
	p := &socketPoller{t, systemCaller(system), k}
	flows := system.network.Flows()
	flows.OnChange(func() {})
	var l, c, s int
	var bound []byte
	user.Do(t.Context(), user.Caller{User: user.Root, Program: "web", Task: "7"}, func(context.Context) {
		l, bound = p.listen(name4("127.0.0.1", 0), 8)
	})
	listeners := flows.Listeners()
	if len(listeners) != 1 || listeners[0].Owner.Task != "7" || listeners[0].Local.Port() == 0 {
		t.Fatalf("%+v", listeners)
	}
	if name := flows.Program("tcp", listeners[0].Local.Port()); name != "web" {
		t.Errorf("%q listens", name)
	}
	c, e := p.connect(bound)
	p.must(c, e)
	s = p.accept(l)
	if e := p.write(c, make([]byte, 1000)); e != 0 {
		t.Fatal(e)
	}
	n, e := p.read(s, make([]byte, 2000))
	p.must(n, e)
	open := flows.Open()
	if len(open) != 2 {
		t.Fatalf("%d connections", len(open))
	}
	for _, f := range open {
		if f.State() != "ESTABLISHED" || f.Inbound && (f.Received.Load() != uint64(n) || f.Owner.Program != "web") ||
			!f.Inbound && (f.Sent.Load() != 1000 || f.Remote != listeners[0].Local || f.Owner.Program == "web") {
			t.Errorf("%+v in %s: %d received, %d sent", f, f.State(), f.Received.Load(), f.Sent.Load())
		}
	}
	for _, fd := range []int{c, s, l} {
		p.must(p.call(unix.SYS_CLOSE, uintptr(fd)))
	}
	if news := flows.Take(); len(news.Closed) != 2 || len(flows.Listeners()) != 0 {
		t.Errorf("%+v", news)
	}
}

// The firewall's rules for what goes out are errors of connect and sendto; what stays
// within the machine is not asked about.
func TestSocketFirewall(t *testing.T) {
	system, k := socketSystem(t)
	p := &socketPoller{t, systemCaller(system), k}
	rule, err := firewall.Parse("deny out to 0.0.0.0/0")
	if err != nil {
		t.Fatal(err)
	}
	system.network.(*net.Service).SetFirewall([]firewall.Rule{rule})
	if _, e := p.connect(name4("192.0.2.1", 25)); e != syscall.EPERM {
		t.Errorf("connect: %v", e)
	}
	fd, e := p.call(unix.SYS_SOCKET, unix.AF_INET, unix.SOCK_DGRAM, 0)
	p.must(fd, e)
	to := name4("192.0.2.1", 25)
	if _, e := p.call(unix.SYS_SENDTO, uintptr(fd), at(&[1]byte{}), 1, 0, at(&to[0]), uintptr(len(to))); e != syscall.EPERM {
		t.Errorf("sendto: %v", e)
	}
	l, bound := p.listen(name4("127.0.0.1", 0), 8)
	c, e := p.connect(bound)
	p.must(c, e)
	p.accept(l)
}
