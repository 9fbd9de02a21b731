package linux

import (
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// unixSocket is a socket of AF_UNIX. What it has not read lies in its own
// queue; sending is pushing to the peer's.
//
// Lock order: unixNames.mu, then a listener's mu, then one other socket's mu,
// then a queue's. Notifications may run with any of them held.
type unixSocket struct {
	system *System
	kind   int
	in     unixQueue
	notify atomic.Pointer[func(events uint32)]

	timeouts    timeouts
	credentials atomic.Bool // SO_PASSCRED

	mu        sync.Mutex
	name      string // bound name, see parseUnix
	key       node   // of a bound path, pinned
	peer      *unixSocket
	connected bool // or once was
	peerGone  bool
	shutWrite bool
	listening bool
	backlog   int
	queue     []*unixSocket // connections not accepted yet
	waiting   []*unixSocket // to be told when the backlog has room
	blocked   *unixSocket   // whose backlog this one found full
	closed    bool
}

func (s *System) newUnixSocket(kind, protocol int) (*unixSocket, syscall.Errno) {
	if e := checkUnixKind(kind, protocol); e != 0 {
		return nil, e
	}
	u := &unixSocket{system: s, kind: kind}
	u.in.reader, u.in.stream = u, kind == unix.SOCK_STREAM
	return u, 0
}

// newUnixPair makes two sockets connected with each other.
func (s *System) newUnixPair(kind, protocol int) (*unixSocket, *unixSocket, syscall.Errno) {
	a, e := s.newUnixSocket(kind, protocol)
	if e != 0 {
		return nil, nil, e
	}
	b, e := s.newUnixSocket(kind, protocol)
	if e != 0 {
		return nil, nil, e
	}
	a.peer, b.peer = b, a
	a.connected, b.connected = true, true
	return a, b, 0
}

func (u *unixSocket) datagram() bool { return u.kind == unix.SOCK_DGRAM }

// Notify implements Pollable.
func (u *unixSocket) Notify(ready func(events uint32)) { u.notify.Store(&ready) }

// ring tells of a rising edge. A socket in a backlog has nobody to tell yet.
func (u *unixSocket) ring(events uint32) {
	if f := u.notify.Load(); f != nil {
		(*f)(events)
	}
}

// Ready implements Description.
func (u *unixSocket) Ready() uint32 {
	u.mu.Lock()
	peer, blocked := u.peer, u.blocked
	connected, peerGone, shutWrite := u.connected, u.peerGone, u.shutWrite
	if u.listening {
		defer u.mu.Unlock()
		if len(u.queue) > 0 {
			return syscall.EPOLLIN | syscall.EPOLLRDNORM
		}
		return 0
	}
	u.mu.Unlock()
	if blocked != nil && !blocked.hasRoom(u) {
		return 0
	}
	events := u.in.events()
	if u.datagram() {
		if peer == nil || peer.in.writable(u) {
			events |= syscall.EPOLLOUT | syscall.EPOLLWRNORM
		}
		return events
	}
	switch {
	case !connected:
		return syscall.EPOLLOUT | syscall.EPOLLHUP
	case peerGone:
		return events | syscall.EPOLLOUT | syscall.EPOLLIN | syscall.EPOLLRDHUP | syscall.EPOLLHUP
	case shutWrite || peer.in.writable(u):
		events |= syscall.EPOLLOUT | syscall.EPOLLWRNORM
	}
	if shutWrite && events&syscall.EPOLLRDHUP != 0 {
		events |= syscall.EPOLLHUP
	}
	return events
}

// hasRoom tells whether a listener takes another connection; if not, w is
// told when it does.
func (u *unixSocket) hasRoom(w *unixSocket) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.closed || len(u.queue) <= u.backlog {
		return true
	}
	if !slices.Contains(u.waiting, w) {
		u.waiting = append(u.waiting, w)
	}
	return false
}

// Read implements Description.
func (u *unixSocket) Read(p []byte) (int, error) {
	m := newMessage(u.system)
	defer m.free()
	m.set(p)
	return u.receive(m)
}

// Write implements Description.
func (u *unixSocket) Write(p []byte) (int, error) {
	m := newMessage(u.system)
	defer m.free()
	m.set(p)
	return u.send(m)
}

// Stat implements Description.
func (u *unixSocket) Stat(st *syscall.Stat_t) error { return statSocket(st) }

// Ioctl implements Ioctler.
func (u *unixSocket) Ioctl(request uint32, arg uintptr) (int, error) {
	return socketIoctl(request, arg, u.in.unreadBytes)
}

// ReadTimeout implements Timeouts.
func (u *unixSocket) ReadTimeout() time.Duration { return time.Duration(u.timeouts.read.Load()) }

// WriteTimeout implements Timeouts.
func (u *unixSocket) WriteTimeout() time.Duration { return time.Duration(u.timeouts.write.Load()) }

// send pushes to the peer, or to the name given.
func (u *unixSocket) send(m *message) (int, error) {
	if m.flags&unix.MSG_OOB != 0 {
		return 0, syscall.EOPNOTSUPP
	}
	to, err := u.target(m.to)
	if err != nil {
		return 0, err
	}
	files, err := u.system.collectFiles(m.control)
	if err != nil {
		return 0, err
	}
	u.mu.Lock()
	name := u.name
	u.mu.Unlock()
	n, err := to.in.push(&m.transfer, name, files)
	if err != nil {
		releaseFiles(files)
	}
	if err == syscall.EPIPE && u.datagram() {
		err = syscall.ECONNREFUSED
	}
	if err == syscall.EAGAIN && to.in.writable(u) {
		return u.send(m) // room was made meanwhile
	}
	if err == nil && u.in.stream {
		m.control = nil // goes with the first piece only
	}
	return n, err
}

// target is the socket that a message goes to.
func (u *unixSocket) target(name []byte) (*unixSocket, error) {
	if len(name) > 0 && u.datagram() {
		to, err := u.system.findUnix(name, u.kind)
		if err != nil {
			return nil, err
		}
		return to, to.accepts(u)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case u.shutWrite, u.peerGone && !u.datagram():
		return nil, syscall.EPIPE
	case u.peer != nil && len(name) > 0:
		return nil, syscall.EISCONN
	case u.peer != nil:
		return u.peer, nil
	case u.datagram() && u.connected:
		return nil, syscall.ECONNREFUSED
	case len(name) > 0 && u.kind == unix.SOCK_STREAM:
		return nil, syscall.EOPNOTSUPP
	}
	return nil, syscall.ENOTCONN
}

// accepts refuses datagrams of others than the peer.
func (u *unixSocket) accepts(from *unixSocket) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.peer != nil && u.peer != from {
		return syscall.EPERM
	}
	return nil
}

func (u *unixSocket) receive(m *message) (int, error) {
	if m.flags&unix.MSG_OOB != 0 {
		return 0, syscall.EINVAL
	}
	u.mu.Lock()
	unconnected := !u.connected && !u.datagram()
	u.mu.Unlock()
	if unconnected {
		return 0, syscall.EINVAL
	}
	n, size, item, err := u.in.pull(&m.transfer, m.flags&unix.MSG_PEEK != 0)
	if err != nil {
		return 0, err
	}
	if m.wantName && u.datagram() && item.from != "" {
		m.from.setUnix(item.from)
	}
	if u.credentials.Load() {
		if p := m.putControl(unix.SOL_SOCKET, unix.SCM_CREDENTIALS, sizeCredentials); p != nil {
			putCredentials(p)
		}
	}
	u.system.deliverFiles(m, item.files)
	if size > n {
		m.outFlags |= unix.MSG_TRUNC
		if m.flags&unix.MSG_TRUNC != 0 {
			return size, nil
		}
	}
	if u.kind == unix.SOCK_SEQPACKET && size > 0 {
		m.outFlags |= unix.MSG_EOR
	}
	return n, nil
}

func (u *unixSocket) shutdown(how int) error {
	u.mu.Lock()
	peer := u.peer
	if how != unix.SHUT_RD {
		u.shutWrite = true
	}
	u.mu.Unlock()
	if how != unix.SHUT_RD && peer != nil && !u.datagram() {
		peer.in.end(false)
	}
	if how != unix.SHUT_WR {
		u.in.end(false)
	}
	return nil
}

// Close implements Description.
func (u *unixSocket) Close() error {
	err := u.system.unbind(u)
	u.mu.Lock()
	u.closed = true
	peer, backlog, waiting := u.peer, u.queue, u.waiting
	u.peer, u.queue, u.waiting = nil, nil, nil
	u.mu.Unlock()
	unread, files := u.in.stop()
	releaseFiles(files)
	if peer != nil {
		peer.hangUp(u, unread && !u.datagram())
	}
	for _, conn := range backlog {
		_ = conn.Close() // never accepted; Close of one without a name has no error
	}
	for _, w := range waiting {
		w.ring(syscall.EPOLLOUT)
	}
	return err
}

// hangUp is called when the peer has closed.
func (u *unixSocket) hangUp(peer *unixSocket, reset bool) {
	u.mu.Lock()
	if u.peer != peer {
		u.mu.Unlock()
		return // a datagram socket connected elsewhere
	}
	u.peer = nil
	if !u.datagram() {
		u.peerGone = true
	}
	u.mu.Unlock()
	if u.datagram() {
		u.ring(syscall.EPOLLOUT)
		return
	}
	u.in.end(reset)
	u.ring(syscall.EPOLLIN | syscall.EPOLLOUT | syscall.EPOLLHUP | syscall.EPOLLRDHUP)
}
