package linux

import (
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// fifos are the pipes of those named FIFOs that are open. changed is
// broadcast whenever one is opened.
type fifos struct {
	mu      sync.Mutex
	changed sync.Cond
	open    map[uint64]*fifo // by inode number
}

type fifo struct {
	pipe *pipe
	uses int // ends and opens in progress
}

// openFIFO opens one side of a named FIFO, and unless told not to block
// waits for the other side.
func (s *System) openFIFO(n node, flags uint32) (Description, error) {
	if err := pin(n); err != nil {
		return nil, err
	}
	access := flags & unix.O_ACCMODE
	reads, writes := access != unix.O_WRONLY, access != unix.O_RDONLY
	t := &s.fifos
	t.mu.Lock()
	defer t.mu.Unlock()
	f := t.open[n.Attr().Number]
	if f == nil {
		f = &fifo{pipe: s.newPipe()}
		t.open[n.Attr().Number] = f
	}
	f.uses++
	p := f.pipe
	if writes && !reads && flags&unix.O_NONBLOCK != 0 && !p.has(true) {
		t.leave(n, f)
		return nil, closeNode(n, syscall.ENXIO)
	}
	end := p.open(reads, writes)
	end.fifo = n
	end.closed = func() {
		t.mu.Lock()
		t.leave(n, f)
		t.mu.Unlock()
		_ = unpin(n) // deleting the contents of a FIFO, which has none
	}
	t.changed.Broadcast()
	if flags&unix.O_NONBLOCK == 0 {
		t.meet(p, reads, writes)
	}
	return end, nil
}

// meet waits for the side that the caller did not open; mu is held.
func (t *fifos) meet(p *pipe, reads, writes bool) {
	if reads == writes || p.has(writes) {
		return
	}
	before := p.opened(writes)
	for p.opened(writes) == before { // who came and went counts, too
		t.changed.Wait()
	}
}

// leave drops a use of the FIFO; mu is held.
func (t *fifos) leave(n node, f *fifo) {
	if f.uses--; f.uses == 0 {
		delete(t.open, n.Attr().Number)
	}
}

// has tells whether there are readers now, or writers.
func (p *pipe) has(readers bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if readers {
		return p.readers > 0
	}
	return p.writers > 0
}

// opened is how often the side was opened so far.
func (p *pipe) opened(readers bool) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if readers {
		return p.readsOpened
	}
	return p.writesOpened
}

func closeNode(n node, e syscall.Errno) error {
	_ = unpin(n) // e is the news
	return e
}
