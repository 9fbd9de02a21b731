package linux

import (
	"io"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// transfer is the caller's memory as the stack reads it (tcpip.Payloader) or
// writes it (io.Writer), in place: parts in order, from a cursor on.
type transfer struct {
	parts [][]byte
	one   [1][]byte // backing of parts for a single buffer
	index int       // the cursor: parts[index][offset:]
	at    int
	left  int // bytes from the cursor to the end
}

func (t *transfer) set(p []byte) {
	t.one[0] = p
	t.setParts(t.one[:])
}

func (t *transfer) setParts(parts [][]byte) {
	t.parts, t.index, t.at, t.left = parts, 0, 0, 0
	for _, p := range parts {
		t.left += len(p)
	}
}

// Len implements tcpip.Payloader.
func (t *transfer) Len() int { return t.left }

// Read implements tcpip.Payloader.
func (t *transfer) Read(p []byte) (int, error) {
	if t.left == 0 {
		return 0, io.EOF
	}
	n := 0
	for n < len(p) && t.left > 0 {
		n += t.advance(copy(p[n:], t.parts[t.index][t.at:]))
	}
	return n, nil
}

// Write implements io.Writer: what has no room is an io.ErrShortWrite.
func (t *transfer) Write(p []byte) (int, error) {
	n := 0
	for n < len(p) && t.left > 0 {
		n += t.advance(copy(t.parts[t.index][t.at:], p[n:]))
	}
	if n < len(p) {
		return n, io.ErrShortWrite
	}
	return n, nil
}

// advance moves the cursor within or to the end of its part.
func (t *transfer) advance(n int) int {
	t.at += n
	t.left -= n
	if t.at == len(t.parts[t.index]) {
		t.index, t.at = t.index+1, 0
	}
	return n
}

// seek puts the cursor n bytes from the start.
func (t *transfer) seek(n int) {
	t.setParts(t.parts)
	for n > 0 {
		n -= t.advance(min(n, len(t.parts[t.index])-t.at))
	}
}

// message is one send or receive. They are pooled, with their arrays.
type message struct {
	transfer
	parts []([]byte) // backing of transfer.parts for vectors
	flags int        // MSG_ flags of the caller

	to   []byte     // send: the destination, empty for the peer
	from socketName // receive: the source, n is 0 for none

	control    []byte // send: what to pass; receive: room
	controlLen int    // receive: how much of the room is used
	outFlags   int    // receive: MSG_TRUNC, MSG_CTRUNC, MSG_EOR
	wantName   bool   // receive: from is asked for
	system     *System
}

var messages = sync.Pool{New: func() any { return new(message) }}

func newMessage(s *System) *message {
	m := messages.Get().(*message)
	m.system = s
	return m
}

func (m *message) free() {
	clear(m.parts)
	*m = message{parts: m.parts[:0]}
	messages.Put(m)
}

// dontWait tells whether this call must not block.
func (m *message) dontWait(f *openFile) bool {
	return m.flags&unix.MSG_DONTWAIT != 0 || f.nonblocking()
}

// setVectors points the message at the checked vectors.
func (m *message) setVectors(list []syscall.Iovec) {
	for i := range list {
		if list[i].Len > 0 {
			m.parts = append(m.parts, vector(&list[i]))
		}
	}
	m.setParts(m.parts)
}

// sendMessage sends m, waiting as the descriptor's flags say. A stream takes
// everything before it returns, unless an error comes between.
func (f *openFile) sendMessage(sock socket, m *message) (int, error) {
	total, sent := m.Len(), 0
	for {
		n, err := sock.send(m)
		if err == nil {
			sent += n
			if sent >= total || m.dontWait(f) {
				return sent, nil
			}
			m.seek(sent)
			continue
		}
		if err == syscall.EAGAIN {
			if err = f.retry(syscall.EPOLLOUT, f.writeTimeout(), m); err == nil {
				m.seek(sent)
				continue
			}
		}
		if sent > 0 {
			return sent, nil // the error will come back with the next call
		}
		return 0, err
	}
}

// retry is called after EAGAIN. It returns nil when it is time to try again.
func (f *openFile) retry(events uint32, timeout time.Duration, m *message) error {
	f.exhausted(events)
	if m.dontWait(f) || !f.wait(events, timeout) {
		return syscall.EAGAIN
	}
	return nil
}

// receiveMessage fills m, waiting as the descriptor's flags say; with
// MSG_WAITALL a stream goes on until the buffer is full.
func (f *openFile) receiveMessage(sock socket, m *message) (int, error) {
	got := 0
	for {
		n, err := sock.receive(m)
		if err == syscall.EAGAIN {
			if err = f.retry(syscall.EPOLLIN, f.readTimeout(), m); err == nil {
				continue
			}
		}
		if err != nil || n == 0 {
			if got > 0 {
				return got, nil
			}
			return 0, err
		}
		got += n
		const all = unix.MSG_WAITALL
		if m.flags&(all|unix.MSG_PEEK) != all || m.Len() == 0 || m.outFlags&unix.MSG_TRUNC != 0 {
			return got, nil
		}
	}
}

// sendto is sendto(2).
func (s *System) sendto(a *[6]uintptr) (int, syscall.Errno) {
	f, sock, e := s.socketFile(a[0])
	if e != 0 {
		return 0, e
	}
	defer f.release()
	p, e := buffer(&a[1], a[2])
	if e != 0 {
		return 0, e
	}
	m := newMessage(s)
	defer m.free()
	m.set(p)
	m.flags = int(int32(a[3]))
	if a[4] != 0 {
		if m.to, e = nameArgument(&a[4], a[5]); e != 0 {
			return 0, e
		}
	}
	return result(f.sendMessage(sock, m))
}

// recvfrom is recvfrom(2).
func (s *System) recvfrom(a *[6]uintptr) (int, syscall.Errno) {
	f, sock, e := s.socketFile(a[0])
	if e != 0 {
		return 0, e
	}
	defer f.release()
	p, e := buffer(&a[1], a[2])
	if e != 0 {
		return 0, e
	}
	m := newMessage(s)
	defer m.free()
	m.set(p)
	m.flags = int(int32(a[3]))
	m.wantName = a[4] != 0
	n, err := f.receiveMessage(sock, m)
	if err != nil {
		return 0, errno(err)
	}
	if m.wantName {
		if e := m.from.store(&a[4], &a[5]); e != 0 {
			return 0, e
		}
	}
	return n, 0
}

// sendmsg is sendmsg(2).
func (s *System) sendmsg(a *[6]uintptr) (int, syscall.Errno) {
	return s.withHeader(a, (*System).sendHeader)
}

// headerCall sends or receives one message as its header says.
type headerCall func(s *System, f *openFile, sock socket, h *syscall.Msghdr, flags int) (int, syscall.Errno)

// withHeader is sendmsg(2) and recvmsg(2).
func (s *System) withHeader(a *[6]uintptr, do headerCall) (int, syscall.Errno) {
	f, sock, e := s.socketFile(a[0])
	if e != 0 {
		return 0, e
	}
	defer f.release()
	h, e := object[syscall.Msghdr](&a[1])
	if e != 0 {
		return 0, e
	}
	return do(s, f, sock, h, int(int32(a[2])))
}

func (s *System) sendHeader(f *openFile, sock socket, h *syscall.Msghdr, flags int) (int, syscall.Errno) {
	m := newMessage(s)
	defer m.free()
	if e := m.load(h); e != 0 {
		return 0, e
	}
	m.flags = flags
	var e syscall.Errno
	name := address(h.Name)
	if m.to, e = nameArgument(&name, uintptr(h.Namelen)); e != 0 {
		return 0, e
	}
	return result(f.sendMessage(sock, m))
}

// load takes the vectors and the control buffer of a msghdr.
func (m *message) load(h *syscall.Msghdr) syscall.Errno {
	iov := address(h.Iov)
	list, e := vectors(&iov, uintptr(h.Iovlen))
	if e == syscall.EINVAL && h.Iovlen > maxVectors {
		return syscall.EMSGSIZE
	}
	if e != 0 {
		return e
	}
	m.setVectors(list)
	control := address(h.Control)
	if h.Controllen > maxControl {
		return syscall.ENOBUFS
	}
	m.control, e = buffer(&control, uintptr(h.Controllen))
	return e
}

// recvmsg is recvmsg(2).
func (s *System) recvmsg(a *[6]uintptr) (int, syscall.Errno) {
	return s.withHeader(a, (*System).receiveHeader)
}

func (s *System) receiveHeader(f *openFile, sock socket, h *syscall.Msghdr, flags int) (int, syscall.Errno) {
	m := newMessage(s)
	defer m.free()
	if e := m.load(h); e != 0 {
		return 0, e
	}
	m.flags = flags
	m.wantName = h.Name != nil
	n, err := f.receiveMessage(sock, m)
	if err != nil {
		return 0, errno(err)
	}
	if m.wantName {
		name, size := address(h.Name), address(&h.Namelen)
		if e := m.from.store(&name, &size); e != 0 {
			return 0, e
		}
	}
	h.Controllen = uint64(m.controlLen)
	h.Flags = int32(m.outFlags)
	return n, 0
}

// address is a pointer as an argument word.
func address[T any](p *T) uintptr { return uintptr(unsafe.Pointer(p)) }

// multiple is struct mmsghdr.
type multiple struct {
	header syscall.Msghdr
	length uint32
	_      uint32
}

// sendmmsg is sendmmsg(2).
func (s *System) sendmmsg(a *[6]uintptr) (int, syscall.Errno) {
	return s.each(a, func(f *openFile, sock socket, h *syscall.Msghdr, _ int) (int, syscall.Errno) {
		return s.sendHeader(f, sock, h, int(int32(a[3])))
	})
}

// recvmmsg is recvmmsg(2), without its timeout: the first message is waited
// for, the others are taken if they are there.
func (s *System) recvmmsg(a *[6]uintptr) (int, syscall.Errno) {
	return s.each(a, func(f *openFile, sock socket, h *syscall.Msghdr, i int) (int, syscall.Errno) {
		flags := int(int32(a[3])) &^ unix.MSG_WAITFORONE
		if i > 0 {
			flags |= unix.MSG_DONTWAIT
		}
		return s.receiveHeader(f, sock, h, flags)
	})
}

// each runs a call on the headers of an mmsghdr array until one fails; the
// answer is how many went well, or the first one's error.
func (s *System) each(a *[6]uintptr, do func(*openFile, socket, *syscall.Msghdr, int) (int, syscall.Errno)) (int, syscall.Errno) {
	f, sock, e := s.socketFile(a[0])
	if e != 0 {
		return 0, e
	}
	defer f.release()
	list, e := array[multiple](&a[1], min(int(uint32(a[2])), maxVectors))
	if e != 0 {
		return 0, e
	}
	for i := range list {
		n, e := do(f, sock, &list[i].header, i)
		if e != 0 {
			if i > 0 {
				return i, 0
			}
			return 0, e
		}
		list[i].length = uint32(n)
	}
	return len(list), 0
}
