package linux

import (
	"testing"

	"golang.org/x/sys/unix"
)

// connectedPair is a loopback TCP connection with TCP_NODELAY.
func connectedPair(b *testing.B) (*socketPoller, int, int) {
	p := newSocketPoller(b)
	l, bound := p.listen(name4("127.0.0.1", 0), 8)
	c, e := p.connect(bound)
	p.must(c, e)
	s := p.accept(l)
	on := new(int32)
	*on = 1
	for _, fd := range []int{c, s} {
		p.must(p.call(unix.SYS_SETSOCKOPT, uintptr(fd), unix.IPPROTO_TCP, unix.TCP_NODELAY, at(on), 4))
	}
	return p, c, s
}

func BenchmarkSocketRoundTrip(b *testing.B) {
	p, c, s := connectedPair(b)
	go func() {
		buf := make([]byte, 1024)
		for {
			n, e := p.read(s, buf)
			if n == 0 || e != 0 || p.write(s, buf[:n]) != 0 {
				return
			}
		}
	}()
	buf := make([]byte, 1024)
	b.ReportAllocs()
	for b.Loop() {
		p.write(c, buf)
		for got := 0; got < len(buf); {
			n, e := p.read(c, buf)
			p.must(n, e)
			got += n
		}
	}
	p.call(unix.SYS_SHUTDOWN, uintptr(c), unix.SHUT_WR)
}

func BenchmarkSocketBulk(b *testing.B) {
	p, c, s := connectedPair(b)
	go func() {
		buf := make([]byte, 64<<10)
		for {
			if n, e := p.read(s, buf); n == 0 || e != 0 {
				return
			}
		}
	}()
	buf := make([]byte, 64<<10)
	b.SetBytes(int64(len(buf)))
	b.ReportAllocs()
	for b.Loop() {
		p.write(c, buf)
	}
	p.call(unix.SYS_SHUTDOWN, uintptr(c), unix.SHUT_WR)
}
