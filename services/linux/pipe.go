package linux

import (
	"sync"
	"syscall"
	"time"

	"github.com/tuplix/tuplix/services/file"
	"golang.org/x/sys/unix"
)

var pipeCalls = []call{
	{unix.SYS_PIPE2, (*System).pipe2},
}

const (
	// pipeCapacity is how many bytes a pipe holds, as on Linux.
	pipeCapacity = 64 << 10

	// pipeAtomic is PIPE_BUF: a write of no more is never mixed with others.
	pipeAtomic = 4096

	pipeFirst = 512 // bytes of buffer that a pipe starts with
)

// pipe is a ring of bytes between two ends. Its state, with what each end
// reports:
//
//	readers  writers  bytes     reader               writer
//	yes      yes      none      EAGAIN               writes
//	yes      yes      some      reads, IN            writes while room, OUT
//	yes      no       none      end of file, HUP     -
//	no       yes      any       -                    EPIPE, ERR
//
// mu is held while the callbacks run, which keeps edges in order.
type pipe struct {
	mu      sync.Mutex
	ring    []byte // grows up to pipeCapacity
	start   int    // of the bytes in it
	count   int
	readers int
	writers int
	number  uint64 // inode
	born    time.Time
	ends    []*pipeEnd

	// How often each side was opened, for those who wait for the other.
	readsOpened, writesOpened int
}

// pipeEnd is the description of one end, or of both for a FIFO opened for
// reading and writing.
type pipeEnd struct {
	pipe          *pipe
	reads, writes bool
	ready         func(uint32)
	fifo          node   // where it was opened by name
	closed        func() // run when it is closed, nil for none
}

// pipe2 is also pipe, with no flags.
func (s *System) pipe2(a *[6]uintptr) (int, syscall.Errno) {
	if a[1]&^(unix.O_CLOEXEC|unix.O_NONBLOCK|unix.O_DIRECT) != 0 {
		return 0, syscall.EINVAL
	}
	if a[1]&unix.O_DIRECT != 0 { // packet mode
		return 0, syscall.EINVAL
	}
	out, e := object[[2]int32](&a[0])
	if e != 0 {
		return 0, e
	}
	p := s.newPipe()
	reader, writer := p.open(true, false), p.open(false, true)
	flags := uint32(a[1])
	r, err := s.Install(reader, unix.O_RDONLY|flags, "")
	if err != nil {
		return 0, errno(closeAfter(writer, errno(err)))
	}
	w, err := s.Install(writer, unix.O_WRONLY|flags, "")
	if err != nil {
		s.closeDescriptor(r)
		return 0, errno(err)
	}
	out[0], out[1] = int32(r), int32(w)
	return 0, 0
}

func (s *System) newPipe() *pipe {
	return &pipe{number: s.anonymous.Add(1), born: s.now()}
}

// open adds an end.
func (p *pipe) open(reads, writes bool) *pipeEnd {
	end := &pipeEnd{pipe: p, reads: reads, writes: writes}
	p.mu.Lock()
	defer p.mu.Unlock()
	if reads {
		p.readers++
		p.readsOpened++
	}
	if writes {
		p.writers++
		p.writesOpened++
	}
	p.ends = append(p.ends, end)
	p.changed()
	return end
}

// changed tells every end what holds for it now; mu is held.
func (p *pipe) changed() {
	for _, end := range p.ends {
		if events := p.events(end); events != 0 && end.ready != nil {
			end.ready(events)
		}
	}
}

// events are those of one end; mu is held.
func (p *pipe) events(end *pipeEnd) (events uint32) {
	if end.reads {
		if p.count > 0 {
			events |= syscall.EPOLLIN | unix.EPOLLRDNORM
		}
		if p.writers == 0 {
			events |= syscall.EPOLLHUP
		}
	}
	if end.writes {
		if pipeCapacity-p.count >= pipeAtomic {
			events |= syscall.EPOLLOUT | unix.EPOLLWRNORM
		}
		if p.readers == 0 {
			events |= syscall.EPOLLERR
		}
	}
	return events
}

func (end *pipeEnd) Notify(ready func(uint32)) {
	end.pipe.mu.Lock()
	defer end.pipe.mu.Unlock()
	end.ready = ready
}

func (end *pipeEnd) Ready() uint32 {
	end.pipe.mu.Lock()
	defer end.pipe.mu.Unlock()
	return end.pipe.events(end)
}

func (end *pipeEnd) Read(b []byte) (int, error) {
	p := end.pipe
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case len(b) == 0:
		return 0, nil
	case p.count == 0 && p.writers == 0:
		return 0, nil
	case p.count == 0:
		return 0, syscall.EAGAIN
	}
	wasFull := pipeCapacity-p.count < pipeAtomic
	n := p.takeOut(b)
	if wasFull && pipeCapacity-p.count >= pipeAtomic {
		p.changed()
	}
	return n, nil
}

// Write takes what fits; of a write up to pipeAtomic bytes all or nothing.
func (end *pipeEnd) Write(b []byte) (int, error) {
	p := end.pipe
	p.mu.Lock()
	defer p.mu.Unlock()
	room := pipeCapacity - p.count
	switch {
	case p.readers == 0:
		return 0, syscall.EPIPE
	case len(b) == 0:
		return 0, nil
	case room == 0, len(b) <= pipeAtomic && len(b) > room:
		return 0, syscall.EAGAIN
	}
	b = b[:min(len(b), room)]
	wasEmpty := p.count == 0
	p.putIn(b)
	if wasEmpty {
		p.changed()
	}
	return len(b), nil
}

func (p *pipe) takeOut(b []byte) int {
	n := min(len(b), p.count)
	first := copy(b[:n], p.ring[p.start:])
	copy(b[first:n], p.ring)
	p.start = (p.start + n) % len(p.ring)
	p.count -= n
	return n
}

// putIn adds bytes for which there is room.
func (p *pipe) putIn(b []byte) {
	if need := p.count + len(b); need > len(p.ring) {
		p.enlarge(need)
	}
	at := (p.start + p.count) % len(p.ring)
	first := copy(p.ring[at:], b)
	copy(p.ring, b[first:])
	p.count += len(b)
}

func (p *pipe) enlarge(need int) {
	size := max(len(p.ring), pipeFirst)
	for size < need {
		size *= 2
	}
	ring := make([]byte, size)
	count := p.count
	if count > 0 {
		p.takeOut(ring[:count])
	}
	p.ring, p.start, p.count = ring, 0, count
}

func (end *pipeEnd) Stat(st *syscall.Stat_t) error {
	if end.fifo != nil {
		a := end.fifo.Attr()
		fillStat(st, end.fifo.device(), &a)
		return nil
	}
	p := end.pipe
	at := p.born.UnixNano()
	fillStat(st, deviceAnonymous, &file.Attr{
		Number: p.number, Mode: syscall.S_IFIFO | 0o600, Links: 1,
		Accessed: at, Modified: at, Changed: at,
	})
	return nil
}

func (end *pipeEnd) Close() error {
	p := end.pipe
	p.mu.Lock()
	if end.reads {
		p.readers--
	}
	if end.writes {
		p.writers--
	}
	for i, other := range p.ends {
		if other == end {
			p.ends = append(p.ends[:i], p.ends[i+1:]...)
			break
		}
	}
	p.changed()
	p.mu.Unlock()
	if end.closed != nil {
		end.closed()
	}
	return nil
}

func (end *pipeEnd) pipeSize() int { return pipeCapacity }

// Ioctl serves FIONREAD, alias TIOCINQ.
func (end *pipeEnd) Ioctl(request uint32, arg uintptr) (int, error) {
	if request != unix.TIOCINQ {
		return 0, syscall.ENOTTY
	}
	out, e := object[int32](&arg)
	if e != 0 {
		return 0, e
	}
	end.pipe.mu.Lock()
	defer end.pipe.mu.Unlock()
	*out = int32(end.pipe.count)
	return 0, nil
}
