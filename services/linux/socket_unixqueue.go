package linux

import (
	"slices"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// unixLimit is how many bytes one Unix socket holds for its reader, and
// unixMessages how many messages. A stream's writer waits at the limit; a
// datagram may exceed it by its own size, if it alone is not larger.
const (
	unixLimit    = 208 << 10
	unixMessages = 512
)

// unixItem is one message, or a piece of a stream.
type unixItem struct {
	data  []byte
	from  string      // the sender's bound name
	files []*openFile // in flight (SCM_RIGHTS), each with a reference
}

// unixQueue holds what a Unix socket has not read yet. Its lock is a leaf but
// for the notifications, which are run with it held.
type unixQueue struct {
	stream bool
	reader *unixSocket

	mu      sync.Mutex
	items   []unixItem
	bytes   int
	ended   bool          // no more will come: the writer closed or shut down
	reset   bool          // the writer closed with unread data: ECONNRESET, once
	gone    bool          // nobody reads any more
	waiting []*unixSocket // writers to be told when there is room
}

func (q *unixQueue) full() bool { return q.bytes >= unixLimit || len(q.items) >= unixMessages }

// writable tells whether there is room, or a reason that a writer would fail
// for. If not, w is told when there is.
func (q *unixQueue) writable(w *unixSocket) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.gone || !q.full() {
		return true
	}
	if !slices.Contains(q.waiting, w) {
		q.waiting = append(q.waiting, w)
	}
	return false
}

// wakeWriters is called with mu held when room has been made.
func (q *unixQueue) wakeWriters() {
	if q.full() && !q.gone {
		return
	}
	for _, w := range q.waiting {
		w.ring(syscall.EPOLLOUT)
	}
	clear(q.waiting)
	q.waiting = q.waiting[:0]
}

// push appends what t has left. A stream takes what there is room for, the
// others all or nothing. The files pass to the queue if it succeeds.
func (q *unixQueue) push(t *transfer, from string, files []*openFile) (int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.gone || q.ended {
		return 0, syscall.EPIPE
	}
	if q.full() {
		return 0, syscall.EAGAIN
	}
	n := t.Len()
	if q.stream {
		n = min(n, unixLimit-q.bytes)
	} else if n > unixLimit {
		return 0, syscall.EMSGSIZE
	}
	if err := q.append(t, n, from, files); err != nil {
		return 0, err
	}
	q.reader.ring(syscall.EPOLLIN)
	return n, nil
}

// append copies n bytes in. Small pieces of a stream share a buffer.
func (q *unixQueue) append(t *transfer, n int, from string, files []*openFile) error {
	if q.stream && n == 0 {
		return nil
	}
	q.bytes += n
	if k := len(q.items) - 1; q.stream && k >= 0 && files == nil {
		if last := &q.items[k]; cap(last.data)-len(last.data) >= n {
			tail := last.data[len(last.data) : len(last.data)+n]
			last.data = last.data[:len(last.data)+n]
			_, err := t.Read(tail)
			return err
		}
	}
	data := make([]byte, n, max(n, q.reserve()))
	q.items = append(q.items, unixItem{data: data, from: from, files: files})
	if n == 0 {
		return nil
	}
	_, err := t.Read(data)
	return err
}

// reserve is the least buffer made for a piece.
func (q *unixQueue) reserve() int {
	if q.stream {
		return 4096
	}
	return 0
}

// pull copies the next message, or as much of a stream as there is, into t.
// It returns what was copied, the size there was, and the files and sender
// that came along.
func (q *unixQueue) pull(t *transfer, peek bool) (n, size int, item unixItem, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.items) == 0 {
		return 0, 0, unixItem{}, q.empty()
	}
	if q.stream {
		n, item = q.pullStream(t, peek)
		size = n
	} else {
		n, size, item = q.pullMessage(t, peek)
	}
	if !peek {
		q.wakeWriters()
	}
	return n, size, item, nil
}

// empty says why there is nothing: the end, a reset, or not yet.
func (q *unixQueue) empty() error {
	switch {
	case q.reset:
		q.reset = false
		return syscall.ECONNRESET
	case q.ended || q.gone:
		return nil
	}
	return syscall.EAGAIN
}

func (q *unixQueue) pullMessage(t *transfer, peek bool) (int, int, unixItem) {
	item := q.items[0]
	n := min(t.Len(), len(item.data))
	_, _ = t.Write(item.data[:n]) // cannot be short: n has room
	if peek {
		item.files = nil
	} else {
		q.bytes -= len(item.data)
		q.items = slices.Delete(q.items, 0, 1)
	}
	return n, len(item.data), item
}

// pullStream reads across pieces, but never past one that carries files: they
// are received with its first byte.
func (q *unixQueue) pullStream(t *transfer, peek bool) (int, unixItem) {
	got, used := 0, 0
	var first unixItem
	for i := range q.items {
		item := &q.items[i]
		if got > 0 && item.files != nil || t.Len() == 0 {
			break
		}
		n := min(t.Len(), len(item.data))
		_, _ = t.Write(item.data[:n]) // cannot be short: n has room
		got += n
		stop := item.files != nil
		if i == 0 {
			first = unixItem{from: item.from, files: item.files}
		}
		if !peek {
			item.files = nil
			item.data = item.data[n:]
			q.bytes -= n
			if len(item.data) == 0 {
				used++
			}
		}
		if stop {
			break
		}
	}
	q.items = slices.Delete(q.items, 0, used)
	if peek {
		first.files = nil
	}
	return got, first
}

// end is called when the writer has gone or shut down.
func (q *unixQueue) end(reset bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.ended = true
	q.reset = q.reset || reset
	events := uint32(syscall.EPOLLIN | syscall.EPOLLRDHUP)
	if reset {
		events |= syscall.EPOLLERR
	}
	q.reader.ring(events)
}

// stop is called when the reader has gone or shut down. It returns whether
// data was left, and the files in flight, for the caller to release.
func (q *unixQueue) stop() (unread bool, files []*openFile) {
	q.mu.Lock()
	defer q.mu.Unlock()
	unread = q.bytes > 0
	for _, item := range q.items {
		files = append(files, item.files...)
	}
	q.items, q.bytes, q.gone = nil, 0, true
	q.wakeWriters()
	return unread, files
}

// events are those of the reading side.
func (q *unixQueue) events() uint32 {
	q.mu.Lock()
	defer q.mu.Unlock()
	var e uint32
	if len(q.items) > 0 || q.ended || q.gone || q.reset {
		e |= syscall.EPOLLIN | syscall.EPOLLRDNORM
	}
	if q.ended || q.gone {
		e |= syscall.EPOLLRDHUP
	}
	if q.reset {
		e |= syscall.EPOLLERR
	}
	return e
}

func (q *unixQueue) unreadBytes() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.bytes
}

// checkUnixKind refuses what AF_UNIX does not speak.
func checkUnixKind(kind, protocol int) syscall.Errno {
	if protocol != 0 && protocol != unix.AF_UNIX {
		return syscall.EPROTONOSUPPORT
	}
	switch kind {
	case unix.SOCK_STREAM, unix.SOCK_DGRAM, unix.SOCK_SEQPACKET:
		return 0
	}
	return syscall.ESOCKTNOSUPPORT
}
