package linux

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"math/rand/v2"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip/stack"

	"github.com/tuplix/tuplix/services/net"
)

func TestNonblockingTransfer(t *testing.T) {
	for _, name := range [][]byte{name4("127.0.0.1", 0), name6(1, "", 0), nameUnix("\x00transfer")} {
		p := newSocketPoller(t)
		within(t, 60*time.Second, func() { p.transfer(name, 8<<20) })
	}
}

// transfer sends n bytes with short and long calls mixed, then half-closes.
func (p *socketPoller) transfer(name []byte, n int) {
	l, bound := p.listen(name, 16)
	c, e := p.connect(bound)
	p.must(0, e)
	s := p.accept(l)
	data := make([]byte, n)
	random := rand.NewChaCha8([32]byte{2})
	random.Read(data) // never fails
	var sent sync.WaitGroup
	sent.Go(func() {
		rest := data
		for size := 1; len(rest) > 0; size = size*3%200_003 + 1 {
			k := min(size, len(rest))
			if e := p.write(c, rest[:k]); e != 0 {
				p.t.Error(e)
				return
			}
			rest = rest[k:]
		}
		p.call(unix.SYS_SHUTDOWN, uintptr(c), unix.SHUT_WR)
	})
	h, got := sha256.New(), 0
	buf := make([]byte, 100_000)
	for size := 1; ; size = size*7%99_991 + 1 {
		k, e := p.read(s, buf[:size])
		if e != 0 {
			p.t.Error(e)
			break
		}
		if k == 0 {
			break
		}
		h.Write(buf[:k])
		got += k
	}
	sent.Wait()
	if want := sha256.Sum256(data); got != n || !bytes.Equal(h.Sum(nil), want[:]) {
		p.t.Errorf("%d of %d bytes arrived, or changed", got, n)
	}
	p.close(c)
	p.close(s)
	p.close(l)
}

func TestNonblockingRefused(t *testing.T) {
	p := newSocketPoller(t)
	within(t, 20*time.Second, func() {
		l, bound := p.listen(name4("127.0.0.1", 0), 1)
		p.close(l)
		if _, e := p.connect(bound); e != syscall.ECONNREFUSED {
			t.Error(e)
		}
	})
}

// A parked reader is woken by close of the peer and by shutdown of its own
// end, which is how deadlines and Close end a read.
func TestParkedReaderWakes(t *testing.T) {
	p := newSocketPoller(t)
	within(t, 20*time.Second, func() {
		l, bound := p.listen(name4("127.0.0.1", 0), 8)
		for range 50 {
			c, _ := p.connect(bound)
			s := p.accept(l)
			var parked sync.WaitGroup
			for _, fd := range []int{c, s} {
				parked.Go(func() {
					b := make([]byte, 1)
					if n, e := p.read(fd, b); n != 0 || e != 0 {
						t.Errorf("read %d, %v", n, e)
					}
				})
			}
			p.must(p.call(unix.SYS_SHUTDOWN, uintptr(c), unix.SHUT_RDWR))
			parked.Wait()
			p.close(c)
			p.close(s)
		}
	})
}

func TestPingPongLosesNoWakeup(t *testing.T) {
	for _, name := range [][]byte{name4("127.0.0.1", 0), nameUnix("\x00pingpong")} {
		p := newSocketPoller(t)
		within(t, 60*time.Second, func() {
			l, bound := p.listen(name, 64)
			var all sync.WaitGroup
			for range 4 {
				c, e := p.connect(bound)
				p.must(0, e)
				s := p.accept(l)
				all.Go(func() { p.bounce(c, s) })
			}
			all.Wait()
		})
	}
}

func (p *socketPoller) bounce(c, s int) {
	var echo sync.WaitGroup
	echo.Go(func() {
		b := make([]byte, 1)
		for {
			n, e := p.read(s, b)
			if n == 0 || e != 0 || p.write(s, b) != 0 {
				return
			}
		}
	})
	b := make([]byte, 1)
	for i := range 500 {
		b[0] = byte(i)
		if e := p.write(c, b); e != 0 {
			p.t.Error(e)
		}
		if n, e := p.read(c, b); n != 1 || e != 0 || b[0] != byte(i) {
			p.t.Errorf("%d: %d %v %d", i, n, e, b[0])
			break
		}
	}
	p.call(unix.SYS_SHUTDOWN, uintptr(c), unix.SHUT_WR)
	echo.Wait()
}

func TestManyConnections(t *testing.T) {
	p := newSocketPoller(t)
	const n = 2000
	within(t, 120*time.Second, func() {
		l, bound := p.listen(name4("127.0.0.1", 0), 128)
		before := runtime.NumGoroutine()
		clients, servers := make([]int, n), make([]int, n)
		for i := range n {
			c, e := p.connect(bound)
			clients[i], servers[i] = p.must(c, e), p.accept(l)
		}
		if more := runtime.NumGoroutine() - before; more > 20 {
			t.Errorf("%d goroutines for %d idle connections", more, n)
		}
		b := make([]byte, 8)
		for i, c := range clients {
			if e := p.write(c, []byte{byte(i)}); e != 0 {
				t.Fatal(e)
			}
		}
		for i, s := range servers {
			if k, e := p.read(s, b); k != 1 || e != 0 || b[0] != byte(i) {
				t.Fatalf("connection %d: %d %v", i, k, e)
			}
			p.close(s)
			p.close(clients[i])
		}
	})
}

// A full accept queue delays, and is no error for anybody. The clients speak
// first: to one whose handshake ended in a SYN cookie and then found the queue
// full, the listener owes nothing before it hears of it again.
func TestAcceptQueueOverflow(t *testing.T) {
	p := newSocketPoller(t)
	within(t, 60*time.Second, func() {
		l, bound := p.listen(name4("127.0.0.1", 0), 1)
		var all sync.WaitGroup
		for range 6 {
			all.Go(func() { p.ask(bound) })
		}
		time.Sleep(50 * time.Millisecond) // lets the queue fill
		for range 6 {
			fd, b := p.accept(l), make([]byte, 1)
			if n, e := p.read(fd, b); n != 1 || e != 0 {
				t.Errorf("server read %d %v", n, e)
			}
			if e := p.write(fd, b); e != 0 {
				t.Error(e)
			}
		}
		all.Wait()
	})
}

func (p *socketPoller) ask(name []byte) {
	fd, e := p.connect(name)
	if e != 0 {
		p.t.Error(e)
		return
	}
	b := []byte{1}
	if e := p.write(fd, b); e != 0 {
		p.t.Error(e)
	}
	if n, e := p.read(fd, b); n != 1 || e != 0 {
		p.t.Errorf("client read %d %v", n, e)
	}
}

func TestUnixBacklog(t *testing.T) {
	p := newSocketPoller(t)
	l, bound := p.listen(nameUnix("\x00backlog"), 0)
	a, e := p.connect(bound)
	p.must(a, e)
	if _, e := p.connect(bound); e != syscall.EAGAIN {
		t.Errorf("full backlog: %v", e)
	}
	// A blocking one waits until there is room.
	fd := p.must(p.call(unix.SYS_SOCKET, unix.AF_UNIX, unix.SOCK_STREAM, 0))
	connected := make(chan syscall.Errno, 1)
	go func() {
		_, e := p.call(unix.SYS_CONNECT, uintptr(fd), at(&bound[0]), uintptr(len(bound)))
		connected <- e
	}()
	select {
	case e := <-connected:
		t.Fatalf("did not wait: %v", e)
	case <-time.After(20 * time.Millisecond):
	}
	p.accept(l)
	if e := <-connected; e != 0 {
		t.Error(e)
	}
}

// pendingNetwork is a network that is configured when the test says so.
type pendingNetwork struct {
	Network
	mu    sync.Mutex
	ready chan struct{}
	run   []func()
}

func (n *pendingNetwork) Ready() <-chan struct{} { return n.ready }
func (n *pendingNetwork) WhenReady(f func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.run = append(n.run, f)
}
func (n *pendingNetwork) Stack() *stack.Stack { return n.Network.Stack() }

func TestConnectWaitsForConfiguration(t *testing.T) {
	config, err := net.ParseCommandLine("ip=none")
	if err != nil {
		t.Fatal(err)
	}
	real, err := net.New(net.Options{Config: config, Memory: 64 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(real.Close)
	n := &pendingNetwork{Network: real, ready: make(chan struct{})}
	s, k := systemOn(t, n)
	p := &socketPoller{t, systemCaller(s), k}
	name := name4("192.0.2.1", 80)
	fd := p.socket(unix.AF_INET, unix.SOCK_STREAM)
	connect := func() syscall.Errno {
		_, e := p.call(unix.SYS_CONNECT, uintptr(fd), at(&name[0]), uintptr(len(name)))
		return e
	}
	if e := connect(); e != syscall.EINPROGRESS {
		t.Fatal(e)
	}
	if e := connect(); e != syscall.EALREADY {
		t.Fatal(e)
	}
	udp := p.socket(unix.AF_INET, unix.SOCK_DGRAM)
	send := func() syscall.Errno {
		_, e := p.call(unix.SYS_SENDTO, uintptr(udp), at(&name[0]), 4, 0, at(&name[0]), uintptr(len(name)))
		return e
	}
	if e := send(); e != syscall.EAGAIN {
		t.Fatal(e)
	}
	if k.any(fd, syscall.EPOLLOUT|syscall.EPOLLERR) || k.any(udp, syscall.EPOLLOUT) {
		t.Fatal("ready too early")
	}
	local, bound := p.listen(name4("127.0.0.1", 0), 1)
	if _, e := p.connect(bound); e != 0 {
		t.Errorf("loopback waits, too: %v", e)
	}
	p.close(local)
	close(n.ready)
	for _, f := range n.run {
		f()
	}
	within(t, 10*time.Second, func() {
		p.k.wait(fd, syscall.EPOLLOUT)
		p.k.wait(udp, syscall.EPOLLOUT)
	})
	if e := syscall.Errno(p.option(fd, unix.SO_ERROR)); e != syscall.ENETUNREACH {
		t.Errorf("connect: %v", e)
	}
	if e := send(); e != syscall.ENETUNREACH {
		t.Errorf("send: %v", e)
	}
}

func TestPassDescriptors(t *testing.T) {
	p := newSocketPoller(t)
	fds := new([2]int32)
	p.must(p.call(unix.SYS_SOCKETPAIR, unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK, 0, at(fds)))
	a, b := int(fds[0]), int(fds[1])
	udp := p.socket(unix.AF_INET, unix.SOCK_DGRAM)
	rights := unix.UnixRights(udp, udp)
	data := []byte("xy")
	iov := &unix.Iovec{Base: &data[0], Len: 2}
	h := &unix.Msghdr{Iov: iov, Iovlen: 1, Control: &rights[0], Controllen: uint64(len(rights))}
	p.must(p.call(unix.SYS_SENDMSG, uintptr(a), at(h), 0))
	p.close(udp)
	p.close(a)

	room := make([]byte, 64)
	h = &unix.Msghdr{Iov: iov, Iovlen: 1, Control: &room[0], Controllen: uint64(len(room))}
	if n := p.must(p.call(unix.SYS_RECVMSG, uintptr(b), at(h), unix.MSG_CMSG_CLOEXEC)); n != 2 || h.Flags&unix.MSG_CTRUNC != 0 {
		t.Fatalf("%d bytes, flags %x", n, h.Flags)
	}
	messages, err := unix.ParseSocketControlMessage(room[:h.Controllen])
	if err != nil || len(messages) != 1 {
		t.Fatal(messages, err)
	}
	got, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(got) != 2 {
		t.Fatal(got, err)
	}
	for _, fd := range got {
		if kind := p.option(fd, unix.SO_TYPE); kind != unix.SOCK_DGRAM {
			t.Errorf("descriptor %d has type %d", fd, kind)
		}
		p.close(fd)
	}
	p.close(b)
}

func TestVectorsAndNames(t *testing.T) {
	p := newSocketPoller(t)
	a, b := p.socket(unix.AF_INET6, unix.SOCK_DGRAM), p.socket(unix.AF_INET6, unix.SOCK_DGRAM)
	bindTo := name6(1, "", 5353)
	p.must(p.call(unix.SYS_BIND, uintptr(a), at(&bindTo[0]), uintptr(len(bindTo))))
	on := new(int32)
	*on = 1
	p.must(p.call(unix.SYS_SETSOCKOPT, uintptr(a), unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, at(on), 4))
	one, two := []byte("hello "), []byte("world")
	iov := &[2]unix.Iovec{{Base: &one[0], Len: 6}, {Base: &two[0], Len: 5}}
	h := &unix.Msghdr{Iov: &iov[0], Iovlen: 2, Name: &bindTo[0], Namelen: uint32(len(bindTo))}
	if n := p.must(p.call(unix.SYS_SENDMSG, uintptr(b), at(h), 0)); n != 11 {
		t.Fatalf("sent %d", n)
	}
	name, control := make([]byte, maxName), make([]byte, 64)
	one, two = make([]byte, 3), make([]byte, 20)
	iov = &[2]unix.Iovec{{Base: &one[0], Len: 3}, {Base: &two[0], Len: 20}}
	h = &unix.Msghdr{Iov: &iov[0], Iovlen: 2, Name: &name[0], Namelen: maxName, Control: &control[0], Controllen: 64}
	n := p.must(p.again(a, syscall.EPOLLIN, unix.SYS_RECVMSG, uintptr(a), at(h), 0))
	if n != 11 || string(one)+string(two[:8]) != "hello world" || h.Namelen != sizeInet6 {
		t.Errorf("%d %q %q, name of %d", n, one, two, h.Namelen)
	}
	messages, err := unix.ParseSocketControlMessage(control[:h.Controllen])
	if err != nil || len(messages) != 1 || messages[0].Header.Type != unix.IPV6_PKTINFO || messages[0].Data[15] != 1 {
		t.Errorf("%+v %v", messages, err)
	}
}

func TestPingSocket(t *testing.T) {
	p := newSocketPoller(t)
	fd := p.must(p.call(unix.SYS_SOCKET, unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK, unix.IPPROTO_ICMP))
	echo := make([]byte, 16)
	echo[0] = 8
	to := name4("127.0.0.1", 0)
	p.must(p.call(unix.SYS_SENDTO, uintptr(fd), at(&echo[0]), 16, 0, at(&to[0]), uintptr(len(to))))
	b := make([]byte, 64)
	within(t, 10*time.Second, func() {
		if n, e := p.read(fd, b); n != 16 || e != 0 || b[0] != 0 {
			t.Errorf("%d %v %x", n, e, b[:16])
		}
	})
}

func TestRouteSocket(t *testing.T) {
	p := newSocketPoller(t)
	for request, answer := range map[uint16]uint16{
		unix.RTM_GETLINK:  unix.RTM_NEWLINK,
		unix.RTM_GETADDR:  unix.RTM_NEWADDR,
		unix.RTM_GETROUTE: unix.RTM_NEWROUTE,
	} {
		fd := p.must(p.call(unix.SYS_SOCKET, unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_ROUTE))
		name := make([]byte, sizeNetlink)
		name[0] = unix.AF_NETLINK
		p.must(p.call(unix.SYS_BIND, uintptr(fd), at(&name[0]), sizeNetlink))
		q := make([]byte, netlinkHeader+1)
		binary.LittleEndian.PutUint32(q, uint32(len(q)))
		binary.LittleEndian.PutUint16(q[4:], request)
		binary.LittleEndian.PutUint16(q[6:], unix.NLM_F_DUMP|unix.NLM_F_REQUEST)
		binary.LittleEndian.PutUint32(q[8:], 1)
		p.must(p.call(unix.SYS_SENDTO, uintptr(fd), at(&q[0]), uintptr(len(q)), 0, at(&name[0]), sizeNetlink))
		b := make([]byte, 4096)
		n := p.must(p.call(unix.SYS_RECVFROM, uintptr(fd), at(&b[0]), 4096, 0, 0, 0))
		messages, err := syscall.ParseNetlinkMessage(b[:n])
		if err != nil || len(messages) < 2 || messages[0].Header.Type != answer || messages[len(messages)-1].Header.Type != unix.NLMSG_DONE {
			t.Fatalf("%d: %+v %v", request, messages, err)
		}
		if request != unix.RTM_GETROUTE {
			if _, err := syscall.ParseNetlinkRouteAttr(&messages[0]); err != nil {
				t.Error(err)
			}
		}
		p.close(fd)
	}
}

func TestReadWriteAllocateLittle(t *testing.T) {
	if testing.Short() {
		t.Skip("counts allocations over many calls: long")
	}
	p := newSocketPoller(t)
	l, bound := p.listen(name4("127.0.0.1", 0), 8)
	c, e := p.connect(bound)
	p.must(c, e)
	s := p.accept(l)
	b := make([]byte, 1024)
	address := at(&b[0])
	allocs := testing.AllocsPerRun(500, func() {
		p.must(p.call(unix.SYS_WRITE, uintptr(c), address, 1024))
		if n, e := p.read(s, b); n != 1024 || e != 0 {
			t.Fatal(n, e)
		}
	})
	t.Logf("%.1f allocations for a write and a read of 1 KB", allocs)
}

func FuzzSocketName(f *testing.F) {
	f.Add(name4("127.0.0.1", 80))
	f.Add(name6(1, "", 80))
	f.Add(nameUnix("/s"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var name socketName
		for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
			if a, e := parseInet(family, b); e == 0 {
				name.setInet(family, a)
				if again, e := parseInet(family, name.buf[:name.n]); e != 0 || again != a {
					t.Fatalf("%+v became %+v (%v)", a, again, e)
				}
			}
		}
		if path, e := parseUnix(b); e == 0 {
			name.setUnix(path)
			if name.n > len(name.buf) {
				t.Fatalf("%d bytes for %q", name.n, path)
			}
		}
	})
}

func FuzzControl(f *testing.F) {
	f.Add(unix.UnixRights(1, 2))
	f.Add(make([]byte, 16))
	f.Fuzz(func(t *testing.T, b []byte) {
		total := 0
		_ = eachControl(b, func(_, _ int, data []byte) error { // malformed input is an error, not a panic
			total += controlHeader + len(data)
			return nil
		})
		if total > len(b) {
			t.Fatalf("%d bytes out of %d", total, len(b))
		}
	})
}

// Both ways at once: the writer finds the window closed while it has to be
// woken for reading, and the other way round.
func TestEchoBulk(t *testing.T) {
	for _, name := range [][]byte{name4("127.0.0.1", 0), nameUnix("\x00echo")} {
		p := newSocketPoller(t)
		within(t, 60*time.Second, func() { p.echo(name, 16<<20) })
	}
}

func (p *socketPoller) echo(name []byte, n int) {
	l, bound := p.listen(name, 4)
	c, e := p.connect(bound)
	p.must(c, e)
	s := p.accept(l)
	var all sync.WaitGroup
	all.Go(func() {
		b := make([]byte, 32<<10)
		for {
			k, e := p.read(s, b)
			if k == 0 || e != 0 || p.write(s, b[:k]) != 0 {
				break
			}
		}
		p.call(unix.SYS_SHUTDOWN, uintptr(s), unix.SHUT_WR)
	})
	all.Go(func() {
		b := make([]byte, 64<<10)
		for range n / len(b) {
			if e := p.write(c, b); e != 0 {
				p.t.Error(e)
			}
		}
		p.call(unix.SYS_SHUTDOWN, uintptr(c), unix.SHUT_WR)
	})
	b, got := make([]byte, 64<<10), 0
	for {
		k, e := p.read(c, b)
		if k == 0 || e != 0 {
			break
		}
		got += k
	}
	all.Wait()
	if got != n {
		p.t.Errorf("%d of %d bytes came back", got, n)
	}
}
