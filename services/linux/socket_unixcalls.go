package linux

import (
	"encoding/binary"
	"fmt"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/tuplix/tuplix/services/file"
)

// unixNames are the names that Unix sockets are bound to: abstract ones, and
// inodes of the file service.
type unixNames struct {
	mu       sync.Mutex
	abstract map[string]*unixSocket
	paths    map[node]*unixSocket
	next     uint32 // of the automatic names
}

// errAutobind: all 2^20 automatic names are taken.
const errAutobind = syscall.ENOSPC

func (u *unixSocket) bind(name []byte) error {
	path, e := parseUnix(name)
	if e != 0 {
		return e
	}
	names := &u.system.unixNames
	names.mu.Lock()
	defer names.mu.Unlock()
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.name != "" {
		return syscall.EINVAL
	}
	switch {
	case path == "":
		return names.autobind(u)
	case path[0] == 0:
		return names.bindAbstract(u, path)
	}
	return u.bindPath(path)
}

func (n *unixNames) bindAbstract(u *unixSocket, name string) error {
	if n.abstract[name] != nil {
		return syscall.EADDRINUSE
	}
	if n.abstract == nil {
		n.abstract = map[string]*unixSocket{}
	}
	n.abstract[name] = u
	u.name = name
	return nil
}

// autobind gives an abstract name of five hexadecimal digits (unix(7)).
func (n *unixNames) autobind(u *unixSocket) error {
	for range 1 << 20 {
		n.next++
		if n.bindAbstract(u, fmt.Sprintf("\x00%05x", n.next&0xfffff)) == nil {
			return nil
		}
	}
	return errAutobind
}

// bindPath makes the socket's inode. It is called with the names' lock held.
func (u *unixSocket) bindPath(path string) error {
	s := u.system
	p, err := s.place(atWorkingDirectory, path, toEdit)
	if err != nil {
		return err
	}
	if err := p.newName(); err != nil || p.slash {
		return syscall.EADDRINUSE
	}
	parent, err := editable(p.parent)
	if err != nil {
		return err
	}
	inode, err := parent.Create(p.last, file.New{Mode: syscall.S_IFSOCK | 0o777&^s.umask.Load()})
	if err == syscall.EEXIST {
		return syscall.EADDRINUSE
	}
	if err != nil {
		return err
	}
	key := diskNode{inode}
	if err := pin(key); err != nil {
		return err
	}
	if s.unixNames.paths == nil {
		s.unixNames.paths = map[node]*unixSocket{}
	}
	s.unixNames.paths[key] = u
	u.name, u.key = path, key
	return nil
}

// atWorkingDirectory is AT_FDCWD as an argument word.
const atWorkingDirectory = ^uintptr(99)

// unbind takes the socket's name back; the inode of a path stays.
func (s *System) unbind(u *unixSocket) error {
	names := &s.unixNames
	names.mu.Lock()
	u.mu.Lock()
	key := u.key
	if key != nil {
		delete(names.paths, key)
	} else if names.abstract[u.name] == u {
		delete(names.abstract, u.name)
	}
	u.key = nil
	u.mu.Unlock()
	names.mu.Unlock()
	if key == nil {
		return nil
	}
	return unpin(key)
}

// findUnix is the socket bound to a name.
func (s *System) findUnix(name []byte, kind int) (*unixSocket, error) {
	path, e := parseUnix(name)
	if e != 0 {
		return nil, e
	}
	if path == "" {
		return nil, syscall.ECONNREFUSED
	}
	var key node
	if path[0] != 0 {
		var err error
		if key, err = s.resolve(atWorkingDirectory, path, true, toEdit); err != nil {
			return nil, err
		}
	}
	s.unixNames.mu.Lock()
	defer s.unixNames.mu.Unlock()
	u := s.unixNames.abstract[path]
	if key != nil {
		u = s.unixNames.paths[key]
	}
	if u == nil {
		return nil, syscall.ECONNREFUSED
	}
	if u.kind != kind {
		return nil, syscall.EPROTOTYPE
	}
	return u, nil
}

func (u *unixSocket) listen(backlog int) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case u.datagram():
		return syscall.EOPNOTSUPP
	case u.name == "", u.connected:
		return syscall.EINVAL
	}
	u.listening, u.backlog = true, backlog
	return nil
}

func (u *unixSocket) accept() (socket, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case u.datagram():
		return nil, syscall.EOPNOTSUPP
	case !u.listening:
		return nil, syscall.EINVAL
	case len(u.queue) == 0:
		return nil, syscall.EAGAIN
	}
	conn := u.queue[0]
	u.queue[0] = nil
	u.queue = u.queue[1:]
	for _, w := range u.waiting {
		w.ring(syscall.EPOLLOUT)
	}
	u.waiting = nil
	return conn, nil
}

func (u *unixSocket) connect(name []byte) error {
	if u.datagram() {
		return u.connectDatagram(name)
	}
	listener, err := u.system.findUnix(name, u.kind)
	if err != nil {
		return err
	}
	server, e := u.system.newUnixSocket(u.kind, 0)
	if e != 0 {
		return e
	}
	listener.mu.Lock()
	defer listener.mu.Unlock()
	if listener == u || !listener.listening || listener.closed {
		return syscall.ECONNREFUSED
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case u.connected:
		return syscall.EISCONN
	case u.listening:
		return syscall.EINVAL
	case len(listener.queue) > listener.backlog:
		u.blocked = listener
		return syscall.EAGAIN
	}
	server.name, server.peer, server.connected = listener.name, u, true
	u.peer, u.connected, u.blocked = server, true, nil
	listener.queue = append(listener.queue, server)
	listener.ring(syscall.EPOLLIN)
	return nil
}

func (u *unixSocket) connectDatagram(name []byte) error {
	var peer *unixSocket
	if !unspecifiedFamily(name) {
		var err error
		if peer, err = u.system.findUnix(name, u.kind); err != nil {
			return err
		}
		if err := peer.accepts(u); err != nil {
			return err
		}
	}
	u.mu.Lock()
	u.peer, u.connected = peer, peer != nil
	u.mu.Unlock()
	return nil
}

func (u *unixSocket) localName(name *socketName) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	name.setUnix(u.name)
	return nil
}

func (u *unixSocket) peerName(name *socketName) error {
	u.mu.Lock()
	peer, connected := u.peer, u.connected
	u.mu.Unlock()
	if peer == nil {
		if connected && !u.datagram() { // it has closed; its name is not kept
			name.setUnix("")
			return nil
		}
		return syscall.ENOTCONN
	}
	return peer.localName(name)
}

func (u *unixSocket) setOption(level, option int, value []byte) error {
	if level != unix.SOL_SOCKET {
		return syscall.EOPNOTSUPP
	}
	switch option {
	case unix.SO_RCVTIMEO, unix.SO_SNDTIMEO:
		return u.timeouts.set(option, value)
	case unix.SO_PASSCRED:
		u.credentials.Store(getInt(value) != 0)
		return nil
	case unix.SO_REUSEADDR, unix.SO_REUSEPORT, unix.SO_KEEPALIVE, unix.SO_BROADCAST, unix.SO_LINGER,
		unix.SO_SNDBUF, unix.SO_RCVBUF, unix.SO_SNDBUFFORCE, unix.SO_RCVBUFFORCE:
		return nil // no effect here, as far as a program can tell
	}
	return syscall.ENOPROTOOPT
}

func (u *unixSocket) getOption(level, option int, value []byte) (int, error) {
	if level != unix.SOL_SOCKET {
		return 0, syscall.EOPNOTSUPP
	}
	switch option {
	case unix.SO_RCVTIMEO, unix.SO_SNDTIMEO:
		return u.timeouts.get(option, value)
	case unix.SO_PEERCRED:
		var b [sizeCredentials]byte
		putCredentials(b[:])
		return copy(value, b[:]), nil
	case unix.SO_TYPE:
		return putInt(value, u.kind), nil
	case unix.SO_DOMAIN:
		return putInt(value, unix.AF_UNIX), nil
	case unix.SO_PROTOCOL, unix.SO_ERROR, unix.SO_REUSEADDR, unix.SO_KEEPALIVE, unix.SO_BROADCAST:
		return putInt(value, 0), nil
	case unix.SO_PASSCRED:
		return putInt(value, boolInt(u.credentials.Load())), nil
	case unix.SO_SNDBUF, unix.SO_RCVBUF:
		return putInt(value, unixLimit), nil
	case unix.SO_ACCEPTCONN:
		u.mu.Lock()
		defer u.mu.Unlock()
		return putInt(value, boolInt(u.listening)), nil
	}
	return 0, syscall.ENOPROTOOPT
}

// sizeCredentials is that of struct ucred: pid, uid, gid, 4 bytes each.
const sizeCredentials = 12

// putCredentials writes those of the one process there is, and of its user.
func putCredentials(p []byte) {
	binary.LittleEndian.PutUint32(p, 1)
	clear(p[4:])
}
