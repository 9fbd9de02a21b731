package linux

import (
	"runtime"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// socketPoller uses non-blocking sockets the way the Go runtime does: try, and on
// EAGAIN wait for the edge.
type socketPoller struct {
	t    testing.TB
	call caller
	k    *pollKernel
}

func newSocketPoller(t testing.TB) *socketPoller {
	s, k := socketSystem(t)
	return &socketPoller{t, systemCaller(s), k}
}

func (p *socketPoller) must(n int, e syscall.Errno) int {
	p.t.Helper()
	if e != 0 {
		p.t.Fatal(e)
	}
	return n
}

func (p *socketPoller) socket(family, kind int) int {
	p.t.Helper()
	return p.must(p.call(unix.SYS_SOCKET, uintptr(family), uintptr(kind|unix.SOCK_NONBLOCK), 0))
}

// again makes a call until it does not say EAGAIN.
func (p *socketPoller) again(fd int, events uint32, nr uintptr, a ...uintptr) (int, syscall.Errno) {
	for {
		n, e := p.call(nr, a...)
		if e != syscall.EAGAIN {
			return n, e
		}
		p.k.wait(fd, events)
	}
}

func (p *socketPoller) read(fd int, b []byte) (int, syscall.Errno) {
	return p.again(fd, syscall.EPOLLIN, unix.SYS_READ, uintptr(fd), at(&b[0]), uintptr(len(b)))
}

func (p *socketPoller) write(fd int, b []byte) syscall.Errno {
	for len(b) > 0 {
		n, e := p.again(fd, syscall.EPOLLOUT, unix.SYS_WRITE, uintptr(fd), at(&b[0]), uintptr(len(b)))
		if e != 0 {
			return e
		}
		b = b[n:]
	}
	return 0
}

func (p *socketPoller) listen(name []byte, backlog int) (fd int, bound []byte) {
	p.t.Helper()
	family := int(name[0])
	fd = p.socket(family, unix.SOCK_STREAM)
	p.must(p.call(unix.SYS_BIND, uintptr(fd), at(&name[0]), uintptr(len(name))))
	p.must(p.call(unix.SYS_LISTEN, uintptr(fd), uintptr(backlog)))
	buf, n := make([]byte, maxName), new(uint32)
	*n = maxName
	p.must(p.call(unix.SYS_GETSOCKNAME, uintptr(fd), at(&buf[0]), at(n)))
	return fd, buf[:*n]
}

func (p *socketPoller) option(fd, option int) int {
	p.t.Helper()
	v, n := new(int32), new(int32)
	*n = 4
	p.must(p.call(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, uintptr(option), at(v), at(n)))
	return int(*v)
}

// connect connects as package net does.
func (p *socketPoller) connect(name []byte) (int, syscall.Errno) {
	p.t.Helper()
	fd := p.socket(int(name[0]), unix.SOCK_STREAM)
	_, e := p.call(unix.SYS_CONNECT, uintptr(fd), at(&name[0]), uintptr(len(name)))
	for e == syscall.EINPROGRESS {
		p.k.wait(fd, syscall.EPOLLOUT)
		if e := p.option(fd, unix.SO_ERROR); e != 0 {
			return fd, syscall.Errno(e)
		}
		buf, n := make([]byte, maxName), new(uint32)
		*n = maxName
		if _, e := p.call(unix.SYS_GETPEERNAME, uintptr(fd), at(&buf[0]), at(n)); e == 0 {
			return fd, 0
		}
		p.k.ClearReady(fd, syscall.EPOLLOUT)
	}
	return fd, e
}

func (p *socketPoller) accept(l int) int {
	p.t.Helper()
	return p.must(p.again(l, syscall.EPOLLIN, unix.SYS_ACCEPT4, uintptr(l), 0, 0, unix.SOCK_NONBLOCK))
}

func (p *socketPoller) close(fd int) { p.t.Helper(); p.must(p.call(unix.SYS_CLOSE, uintptr(fd))) }

// within fails the test if f takes too long.
func within(t testing.TB, d time.Duration, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { defer close(done); f() }()
	select {
	case <-done:
	case <-time.After(d):
		buf := make([]byte, 1<<20)
		t.Fatalf("takes longer than %v\n%s", d, buf[:runtime.Stack(buf, true)])
	}
}
