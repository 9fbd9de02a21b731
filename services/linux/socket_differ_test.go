package linux

import (
	"testing"

	"golang.org/x/sys/unix"
)

func TestSocketKinds(t *testing.T) {
	differ(t, func(s *script) {
		s.socket("no family", 99, unix.SOCK_STREAM, 0)
		s.socket("no type", unix.AF_INET, 99, 0)
		s.socket("tcp over dgram", unix.AF_INET, unix.SOCK_DGRAM, unix.IPPROTO_TCP)
		s.socket("udp over stream", unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_UDP)
		s.socket("unix protocol", unix.AF_UNIX, unix.SOCK_STREAM, 7)
		s.read("not open", 999, 1)
		s.named("bind what is not open", unix.SYS_BIND, 999, name4("127.0.0.1", 0))
		for _, kind := range []int{unix.SOCK_STREAM, unix.SOCK_DGRAM} {
			for _, family := range []int{unix.AF_INET, unix.AF_INET6, unix.AF_UNIX} {
				fd := s.socket("socket", family, kind, 0)
				s.get("type", fd, unix.SOL_SOCKET, unix.SO_TYPE)
				s.get("domain", fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
				s.get("protocol", fd, unix.SOL_SOCKET, unix.SO_PROTOCOL)
				s.get("error", fd, unix.SOL_SOCKET, unix.SO_ERROR)
				s.get("accepts", fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
				s.get("unknown", fd, unix.SOL_SOCKET, 999)
				s.name("own name", unix.SYS_GETSOCKNAME, fd)
				s.name("peer", unix.SYS_GETPEERNAME, fd)
				s.shutdown("shutdown", fd, unix.SHUT_WR)
				s.shutdown("shutdown badly", fd, 7)
				s.close(fd)
			}
		}
	})
}

func TestTCPBasics(t *testing.T) {
	differ(t, func(s *script) {
		l := s.socket("listener", unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK, 0)
		s.accept("accept before listen", l)
		s.named("wrong family", unix.SYS_BIND, l, name6(1, "", 0))
		s.named("short name", unix.SYS_BIND, l, name4("127.0.0.1", 0)[:6])
		s.named("foreign address", unix.SYS_BIND, l, name4("192.0.2.1", 0))
		s.named("bind", unix.SYS_BIND, l, name4("127.0.0.1", 0))
		s.named("bind again", unix.SYS_BIND, l, name4("127.0.0.1", 0))
		port := s.port(l)
		other := s.socket("other", unix.AF_INET, unix.SOCK_STREAM, 0)
		s.named("refused", unix.SYS_CONNECT, other, name4("127.0.0.1", port))
		s.close(other)
		s.listen("listen", l, 5)
		s.get("accepts", l, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
		s.accept("nothing to accept", l)
		other = s.socket("other", unix.AF_INET, unix.SOCK_STREAM, 0)
		s.named("port in use", unix.SYS_BIND, other, name4("127.0.0.1", port))
		s.write("unconnected", other, "x")
		s.read("unconnected", other, 1)
		s.named("connect", unix.SYS_CONNECT, other, name4("127.0.0.1", port))
		s.named("connect again", unix.SYS_CONNECT, other, name4("127.0.0.1", port))
		s.name("peer", unix.SYS_GETPEERNAME, other)
		s.name("own", unix.SYS_GETSOCKNAME, other)
		s.get("error", other, unix.SOL_SOCKET, unix.SO_ERROR)
		s.read("listener", l, 1)
		s.close(l)
		s.close(other)
	})
}

func TestTCPHalfClose(t *testing.T) {
	differ(t, func(s *script) {
		c, p := s.pair()
		s.write("request", c, "hello")
		s.receive("peek", p, 10, unix.MSG_PEEK)
		s.receive("wait for all", p, 5, unix.MSG_WAITALL)
		s.receive("nothing left", p, 5, unix.MSG_DONTWAIT)
		s.shutdown("half", c, unix.SHUT_WR)
		s.read("end", p, 5)
		s.read("end again", p, 5)
		s.write("answer", p, "world")
		s.read("answer", c, 10)
		s.sendto("after shutdown", c, "x", unix.MSG_NOSIGNAL, nil)
		s.close(p)
		s.read("end", c, 10)
		s.close(c)
	})
}

func TestTCPReset(t *testing.T) {
	differ(t, func(s *script) {
		c, p := s.pair()
		s.setLinger(p, 1, 0)
		s.close(p)
		s.read("reset", c, 5)
		s.read("after reset", c, 5)
		s.sendto("after reset", c, "x", unix.MSG_NOSIGNAL, nil)
		s.name("peer", unix.SYS_GETPEERNAME, c)
		s.close(c)

		c, p = s.pair()
		s.write("never read", c, "hello")
		s.receive("arrived", p, 5, unix.MSG_PEEK)
		s.close(p)
		s.read("reset", c, 5)
		s.close(c)
	})
}

func TestTCPOptions(t *testing.T) {
	differ(t, func(s *script) {
		fd := s.socket("socket", unix.AF_INET, unix.SOCK_STREAM, 0)
		for _, o := range []struct {
			name                 string
			level, option, value int
		}{
			{"reuseaddr", unix.SOL_SOCKET, unix.SO_REUSEADDR, 1},
			{"reuseport", unix.SOL_SOCKET, unix.SO_REUSEPORT, 1},
			{"keepalive", unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1},
			{"broadcast", unix.SOL_SOCKET, unix.SO_BROADCAST, 1},
			{"nodelay", unix.IPPROTO_TCP, unix.TCP_NODELAY, 1},
			{"keepidle", unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 15},
			{"keepidle 0", unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 0},
			{"keepintvl", unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, 15},
			{"keepcnt", unix.IPPROTO_TCP, unix.TCP_KEEPCNT, 9},
			{"user timeout", unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, 1000},
			{"ttl", unix.IPPROTO_IP, unix.IP_TTL, 9},
			{"ttl 0", unix.IPPROTO_IP, unix.IP_TTL, 0},
			{"recverr", unix.IPPROTO_IP, unix.IP_RECVERR, 0},
			{"unknown", unix.IPPROTO_TCP, 9999, 1},
			{"v6only on v4", unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1},
		} {
			s.get(o.name, fd, o.level, o.option)
			s.set(o.name, fd, o.level, o.option, o.value)
			s.get(o.name, fd, o.level, o.option)
		}
		s.setLinger(fd, 1, 3)
		s.close(fd)
		fd = s.socket("v6", unix.AF_INET6, unix.SOCK_STREAM, 0)
		s.get("v6only", fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY)
		s.set("v6only", fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1)
		s.get("v6only", fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY)
		s.named("mapped", unix.SYS_BIND, fd, name6(0, "127.0.0.1", 0))
		s.named("bind", unix.SYS_BIND, fd, name6(0, "", 0))
		s.set("v6only when bound", fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 0)
		s.close(fd)
	})
}

func TestDualStack(t *testing.T) {
	differ(t, func(s *script) {
		l := s.socket("listener", unix.AF_INET6, unix.SOCK_STREAM, 0)
		s.set("dual", l, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 0)
		s.named("bind", unix.SYS_BIND, l, name6(0, "", 0))
		s.listen("listen", l, 5)
		port := s.port(l)
		c4 := s.socket("v4 client", unix.AF_INET, unix.SOCK_STREAM, 0)
		s.named("connect", unix.SYS_CONNECT, c4, name4("127.0.0.1", port))
		p := s.accept("accept", l)
		s.name("peer", unix.SYS_GETPEERNAME, p)
		s.name("own", unix.SYS_GETSOCKNAME, p)
		s.close(p)
		s.close(c4)
		c6 := s.socket("v6 client", unix.AF_INET6, unix.SOCK_STREAM, 0)
		s.named("connect", unix.SYS_CONNECT, c6, name6(1, "", port))
		p = s.accept("accept", l)
		s.name("peer", unix.SYS_GETPEERNAME, p)
		s.close(p)
		s.close(c6)
		cm := s.socket("mapped client", unix.AF_INET6, unix.SOCK_STREAM, 0)
		s.named("connect", unix.SYS_CONNECT, cm, name6(0, "127.0.0.1", port))
		s.name("peer", unix.SYS_GETPEERNAME, cm)
		s.close(cm)
		s.close(l)
	})
}

func TestUDP(t *testing.T) {
	differ(t, func(s *script) {
		a := s.socket("a", unix.AF_INET, unix.SOCK_DGRAM, 0)
		s.sendto("nowhere to", a, "x", 0, nil)
		s.write("nowhere to", a, "x")
		s.listen("listen", a, 1)
		s.accept("accept", a)
		s.named("bind", unix.SYS_BIND, a, name4("127.0.0.1", 0))
		to := name4("127.0.0.1", s.port(a))
		b := s.socket("b", unix.AF_INET, unix.SOCK_DGRAM, 0)
		s.receive("nothing", a, 5, unix.MSG_DONTWAIT)
		s.sendto("send", b, "hello", 0, to)
		s.receive("peek", a, 3, unix.MSG_PEEK)
		s.receive("short", a, 3, 0)
		s.sendto("send", b, "hello", 0, to)
		s.receive("true length", a, 3, unix.MSG_TRUNC)
		s.sendto("empty", b, "", 0, to)
		s.receive("empty", a, 5, 0)
		s.named("connect", unix.SYS_CONNECT, b, to)
		s.name("peer", unix.SYS_GETPEERNAME, b)
		s.write("write", b, "again")
		s.read("read", a, 10)
		s.close(a)
		s.write("to nobody", b, "x")
		s.read("refused", b, 5)
		s.named("disconnect", unix.SYS_CONNECT, b, make([]byte, sizeInet))
		s.name("peer", unix.SYS_GETPEERNAME, b)
		s.close(b)
	})
}

func TestUnixStream(t *testing.T) {
	differ(t, func(s *script) {
		l := s.socket("listener", unix.AF_UNIX, unix.SOCK_STREAM, 0)
		s.listen("listen unbound", l, 5)
		path := s.dir + "/s"
		s.named("bind", unix.SYS_BIND, l, nameUnix(path))
		s.named("bind again", unix.SYS_BIND, l, nameUnix(path+"2"))
		s.name("own", unix.SYS_GETSOCKNAME, l)
		c := s.socket("client", unix.AF_UNIX, unix.SOCK_STREAM, 0)
		s.named("bind taken", unix.SYS_BIND, c, nameUnix(path))
		s.named("not listening", unix.SYS_CONNECT, c, nameUnix(path))
		s.named("no such", unix.SYS_CONNECT, c, nameUnix(s.dir+"/nothing"))
		s.named("wrong family", unix.SYS_CONNECT, c, name4("127.0.0.1", 1))
		s.write("unconnected", c, "x")
		s.read("unconnected", c, 1)
		s.listen("listen", l, 5)
		d := s.socket("datagram", unix.AF_UNIX, unix.SOCK_DGRAM, 0)
		s.named("wrong type", unix.SYS_CONNECT, d, nameUnix(path))
		s.close(d)
		s.named("connect", unix.SYS_CONNECT, c, nameUnix(path))
		s.named("connect again", unix.SYS_CONNECT, c, nameUnix(path))
		s.write("before accept", c, "hello")
		p := s.accept("accept", l)
		s.name("peer", unix.SYS_GETPEERNAME, p)
		s.name("peer", unix.SYS_GETPEERNAME, c)
		s.receive("peek", p, 3, unix.MSG_PEEK)
		s.read("read", p, 3)
		s.read("rest", p, 10)
		s.receive("nothing", p, 5, unix.MSG_DONTWAIT)
		s.shutdown("half", c, unix.SHUT_WR)
		s.read("end", p, 5)
		s.write("answer", p, "world")
		s.read("answer", c, 10)
		s.sendto("after shutdown", c, "x", unix.MSG_NOSIGNAL, nil)
		s.close(c)
		s.sendto("peer gone", p, "x", unix.MSG_NOSIGNAL, nil)
		s.close(p)
		s.close(l)
		c = s.socket("client", unix.AF_UNIX, unix.SOCK_STREAM, 0)
		s.named("closed listener", unix.SYS_CONNECT, c, nameUnix(path))
		s.close(c)
	})
}

func TestUnixDatagram(t *testing.T) {
	differ(t, func(s *script) {
		for _, path := range []string{s.dir + "/d1", "\x00tuplix-test-datagram"} {
			a := s.socket("a", unix.AF_UNIX, unix.SOCK_DGRAM, 0)
			s.named("bind", unix.SYS_BIND, a, nameUnix(path))
			b := s.socket("b", unix.AF_UNIX, unix.SOCK_DGRAM, 0)
			s.write("unconnected", b, "x")
			s.sendto("send", b, "hello", 0, nameUnix(path))
			s.receive("short", a, 3, 0)
			s.sendto("send", b, "hello", 0, nameUnix(path))
			s.receive("true length", a, 3, unix.MSG_TRUNC)
			s.named("name", unix.SYS_BIND, b, nameUnix(path+"b"))
			s.named("connect", unix.SYS_CONNECT, b, nameUnix(path))
			s.write("write", b, "again")
			s.receive("receive", a, 10, 0)
			s.name("peer", unix.SYS_GETPEERNAME, b)
			s.close(a)
			s.write("gone", b, "x")
			s.sendto("gone", b, "x", 0, nameUnix(path))
			s.close(b)
		}
	})
}

func TestSocketPair(t *testing.T) {
	differ(t, func(s *script) {
		for _, kind := range []int{unix.SOCK_STREAM, unix.SOCK_DGRAM, unix.SOCK_SEQPACKET} {
			fds := new([2]int32)
			s.do("socketpair", unix.SYS_SOCKETPAIR, unix.AF_UNIX, uintptr(kind), 0, at(fds))
			a, b := int(fds[0]), int(fds[1])
			s.write("one", a, "one")
			s.write("two", a, "two")
			s.read("read", b, 10)
			s.receive("read", b, 10, unix.MSG_DONTWAIT)
			s.name("peer", unix.SYS_GETPEERNAME, a)
			s.write("left", a, "left")
			s.close(b)
			s.receive("after close", a, 10, unix.MSG_DONTWAIT)
			s.receive("after close", a, 10, unix.MSG_DONTWAIT)
			s.close(a)
		}
		s.do("inet", unix.SYS_SOCKETPAIR, unix.AF_INET, unix.SOCK_STREAM, 0, at(new([2]int32)))
	})
}
