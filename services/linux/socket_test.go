package linux

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/tuplix/tuplix/services/net"
)

// pollKernel is a fakeKernel that one can wait on, as epoll does with
// edge-triggered descriptors.
type pollKernel struct {
	*fakeKernel
	mu   sync.Mutex
	cond *sync.Cond
}

func newPollKernel() *pollKernel {
	k := &pollKernel{fakeKernel: newFakeKernel()}
	k.cond = sync.NewCond(&k.mu)
	return k
}

func (k *pollKernel) SetReady(fd int, events uint32) {
	k.fakeKernel.SetReady(fd, events)
	k.mu.Lock()
	k.cond.Broadcast()
	k.mu.Unlock()
}

// wait blocks until one of the events is marked.
func (k *pollKernel) wait(fd int, events uint32) {
	events |= syscall.EPOLLERR | syscall.EPOLLHUP
	k.mu.Lock()
	defer k.mu.Unlock()
	for !k.any(fd, events) {
		k.cond.Wait()
	}
}

func (k *pollKernel) any(fd int, events uint32) bool {
	k.fakeKernel.mu.Lock()
	defer k.fakeKernel.mu.Unlock()
	return k.ready[fd]&events != 0
}

// caller makes system calls: the host's or ours.
type caller func(nr uintptr, a ...uintptr) (int, syscall.Errno)

func hostCall(nr uintptr, a ...uintptr) (int, syscall.Errno) {
	var b [6]uintptr
	copy(b[:], a)
	r, _, e := syscall.Syscall6(nr, b[0], b[1], b[2], b[3], b[4], b[5])
	return int(r), e
}

func systemCaller(s *System) caller {
	return func(nr uintptr, a ...uintptr) (int, syscall.Errno) {
		var b [6]uintptr
		copy(b[:], a)
		r := s.Call(nr, &b)
		if int(r) < 0 && int(r) > -4096 {
			return -1, syscall.Errno(-int(r))
		}
		return int(r), 0
	}
}

// socketSystem is a system with a loopback network.
func socketSystem(t testing.TB) (*System, *pollKernel) {
	t.Helper()
	config, err := net.ParseCommandLine("ip=none")
	if err != nil {
		t.Fatal(err)
	}
	n, err := net.New(net.Options{Config: config, Memory: 256 << 20, Log: t.Logf})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Close)
	if err := n.Start(); err != nil {
		t.Fatal(err)
	}
	<-n.Ready()
	return systemOn(t, n)
}

func systemOn(t testing.TB, n Network) (*System, *pollKernel) {
	t.Helper()
	files := newFiles(t)
	t.Cleanup(func() { files.Close() })
	k := newPollKernel()
	s, err := New(Config{Kernel: k, Files: files, Machine: fakeMachine{}, Network: n})
	if err != nil {
		t.Fatal(err)
	}
	return s, k
}

// kept keeps what was passed as an address on the heap.
var kept struct {
	sync.Mutex
	last any
}

// at is the address of p, which it moves to the heap.
func at[T any](p *T) uintptr {
	kept.Lock()
	kept.last = p
	kept.Unlock()
	return uintptr(unsafe.Pointer(p))
}

func name4(ip string, port int) []byte {
	b := make([]byte, sizeInet)
	binary.LittleEndian.PutUint16(b, unix.AF_INET)
	binary.BigEndian.PutUint16(b[2:], uint16(port))
	var a, c, d, e byte
	if _, err := fmt.Sscanf(ip, "%d.%d.%d.%d", &a, &c, &d, &e); err != nil {
		panic(err)
	}
	copy(b[4:], []byte{a, c, d, e})
	return b
}

func name6(last byte, mapped string, port int) []byte {
	b := make([]byte, sizeInet6)
	binary.LittleEndian.PutUint16(b, unix.AF_INET6)
	binary.BigEndian.PutUint16(b[2:], uint16(port))
	b[23] = last
	if mapped != "" {
		b[18], b[19] = 0xff, 0xff
		copy(b[20:], name4(mapped, 0)[4:8])
	}
	return b
}

func nameUnix(path string) []byte {
	b := []byte{unix.AF_UNIX, 0}
	b = append(b, path...)
	if path != "" && path[0] != 0 {
		b = append(b, 0)
	}
	return b
}

// script records what calls answer.
type script struct {
	t     testing.TB
	call  caller
	lines []string
	dir   string // where it may make sockets
}

// do makes a call and records its errno, and its result if told to.
func (s *script) do(what string, nr uintptr, a ...uintptr) (int, syscall.Errno) {
	n, e := s.call(nr, a...)
	s.lines = append(s.lines, fmt.Sprintf("%s: %s", what, errnoName(e)))
	return n, e
}

func errnoName(e syscall.Errno) string {
	if e == 0 {
		return "ok"
	}
	return unix.ErrnoName(e)
}

func (s *script) note(format string, a ...any) {
	s.lines = append(s.lines, fmt.Sprintf(format, a...))
}

func (s *script) socket(what string, family, kind, protocol int) int {
	fd, _ := s.do(what, unix.SYS_SOCKET, uintptr(family), uintptr(kind), uintptr(protocol))
	return fd
}

func (s *script) named(what string, nr uintptr, fd int, name []byte) syscall.Errno {
	_, e := s.do(what, nr, uintptr(fd), at(&name[0]), uintptr(len(name)))
	runtime.KeepAlive(name)
	return e
}

func (s *script) listen(what string, fd, backlog int) {
	s.do(what, unix.SYS_LISTEN, uintptr(fd), uintptr(backlog))
}

func (s *script) accept(what string, fd int) int {
	n, _ := s.do(what, unix.SYS_ACCEPT4, uintptr(fd), 0, 0, unix.SOCK_CLOEXEC)
	return n
}

// name returns an encoded name; the port is not noted.
func (s *script) name(what string, nr uintptr, fd int) []byte {
	buf, size := make([]byte, maxName), new(uint32)
	*size = maxName
	_, e := s.do(what, nr, uintptr(fd), at(&buf[0]), at(size))
	if e != 0 {
		return nil
	}
	name := buf[:*size]
	shown := append([]byte(nil), name...)
	if len(shown) >= 4 && shown[0] != unix.AF_UNIX {
		shown[2], shown[3] = 0, 0
	}
	s.note("  %s", strings.ReplaceAll(fmt.Sprintf("%q", shown), s.dir, "DIR"))
	return name
}

func (s *script) port(fd int) int {
	return int(binary.BigEndian.Uint16(s.name("getsockname", unix.SYS_GETSOCKNAME, fd)[2:]))
}

func (s *script) write(what string, fd int, data string) {
	b := append([]byte(data), 0)
	n, e := s.do(what, unix.SYS_WRITE, uintptr(fd), at(&b[0]), uintptr(len(data)))
	if e == 0 {
		s.note("  wrote %d", n)
	}
}

func (s *script) read(what string, fd, size int) {
	b := make([]byte, size+1)
	n, e := s.do(what, unix.SYS_READ, uintptr(fd), at(&b[0]), uintptr(size))
	if e == 0 {
		s.note("  read %q", b[:n])
	}
}

func (s *script) receive(what string, fd, size, flags int) []byte {
	b, name, n := make([]byte, size+1), make([]byte, maxName), new(uint32)
	*n = maxName
	got, e := s.do(what, unix.SYS_RECVFROM, uintptr(fd), at(&b[0]), uintptr(size), uintptr(flags), at(&name[0]), at(n))
	if e != 0 {
		return nil
	}
	s.note("  %d %q from %d bytes of name", got, b[:min(got, size)], *n)
	return name[:*n]
}

func (s *script) sendto(what string, fd int, data string, flags int, name []byte) {
	b := append([]byte(data), 0)
	var p uintptr
	if len(name) > 0 {
		p = at(&name[0])
	}
	n, e := s.do(what, unix.SYS_SENDTO, uintptr(fd), at(&b[0]), uintptr(len(data)), uintptr(flags), p, uintptr(len(name)))
	if e == 0 {
		s.note("  sent %d", n)
	}
	runtime.KeepAlive(name)
}

func (s *script) set(what string, fd, level, option, value int) {
	v := new(int32)
	*v = int32(value)
	s.do(what, unix.SYS_SETSOCKOPT, uintptr(fd), uintptr(level), uintptr(option), at(v), 4)
}

func (s *script) get(what string, fd, level, option int) {
	v, n := new(int32), new(int32)
	*n = 4
	if _, e := s.do(what, unix.SYS_GETSOCKOPT, uintptr(fd), uintptr(level), uintptr(option), at(v), at(n)); e == 0 {
		s.note("  %d, %d bytes", *v, *n)
	}
}

func (s *script) setLinger(fd int, on, seconds int32) {
	v := &[2]int32{on, seconds}
	s.do("linger", unix.SYS_SETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_LINGER, at(v), 8)
}

func (s *script) shutdown(what string, fd, how int) {
	s.do(what, unix.SYS_SHUTDOWN, uintptr(fd), uintptr(how))
}

func (s *script) close(fd int) { s.do("close", unix.SYS_CLOSE, uintptr(fd)) }

// pair makes a connected TCP pair.
func (s *script) pair() (client, server int) {
	l := s.socket("listener", unix.AF_INET, unix.SOCK_STREAM, 0)
	s.named("bind", unix.SYS_BIND, l, name4("127.0.0.1", 0))
	s.listen("listen", l, 5)
	client = s.socket("client", unix.AF_INET, unix.SOCK_STREAM, 0)
	s.named("connect", unix.SYS_CONNECT, client, name4("127.0.0.1", s.port(l)))
	server = s.accept("accept", l)
	s.close(l)
	return client, server
}

// differ runs a script on the host's kernel and on ours.
func differ(t *testing.T, run func(s *script)) {
	t.Helper()
	host := &script{t: t, call: hostCall, dir: t.TempDir()}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	run(host)
	system, _ := socketSystem(t)
	ours := &script{t: t, call: systemCaller(system), dir: "/" + strings.Repeat("s", len(host.dir)-1)}
	path := append([]byte(ours.dir), 0)
	if _, e := ours.call(unix.SYS_MKDIRAT, atWorkingDirectory, at(&path[0]), 0o777); e != 0 {
		t.Fatal(e)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		run(ours)
	}()
	select {
	case <-done:
	case <-time.After(30 * time.Second):
		t.Fatal("ours hangs; the host's:\n" + strings.Join(host.lines, "\n"))
	}
	for i := range max(len(host.lines), len(ours.lines)) {
		want, got := "(nothing)", "(nothing)"
		if i < len(host.lines) {
			want = host.lines[i]
		}
		if i < len(ours.lines) {
			got = ours.lines[i]
		}
		if want != got {
			t.Errorf("line %d: Linux %q, ours %q", i, want, got)
			return
		}
	}
}
