package blk

import (
	"errors"
	"fmt"
	"syscall"
	"unsafe"

	"github.com/tuplix/tuplix/drivers/virtio"
)

// request is one request in flight. The device reads header and data and writes
// data and status while the queue holds it.
type request struct {
	kind   uint32
	header [headerSize]byte
	status [1]byte
	data   []byte // what the device moves
	bounce []byte // a sector that stands in for data[0:len(bounce)] of the caller, or nil
	chain  *virtio.Chain
	done   chan error // one answer
}

func (d *Device) newRequest() *request {
	return &request{
		chain: virtio.NewChain(d.dev.Memory(), d.limits.pieceSize),
		done:  make(chan error, 1),
	}
}

// prepare makes a request of kind for data at off.
func (d *Device) prepare(kind uint32, data []byte, off int64) *request {
	r := d.requests.Get().(*request)
	r.kind, r.data, r.status[0] = kind, data, statusNone
	putHeader(&r.header, kind, off)
	r.chain.Reset()
	r.chain.Out(r.header[:])
	switch kind {
	case typeIn, typeGetID:
		r.chain.In(data)
	default:
		r.chain.Out(data)
	}
	r.chain.In(r.status[:])
	return r
}

// submit hands a request to the device, waiting for room. The caller kicks.
func (d *Device) submit(r *request) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for {
		err := d.queue.Submit(r.chain, r)
		if !errors.Is(err, virtio.ErrFull) {
			return err
		}
		d.queue.Kick()
		d.waiting++
		d.room.Wait()
		d.waiting--
	}
}

// complete answers the goroutine that waits for r.
func (d *Device) complete(r *request, _ int) { r.done <- r.result() }

// wakeWaiting runs after chains came back.
func (d *Device) wakeWaiting() {
	d.mu.Lock()
	if d.waiting > 0 {
		d.room.Broadcast()
	}
	d.mu.Unlock()
}

func (d *Device) fail(err error) {
	for _, r := range d.queue.Drain(err) {
		r.done <- err
	}
	d.wakeWaiting()
}

func (r *request) result() error {
	switch r.status[0] {
	case statusOK:
		return nil
	case statusIOError:
		return fmt.Errorf("virtio-blk: device reports an error: %w", syscall.EIO)
	case statusUnsupported:
		return fmt.Errorf("virtio-blk: device does not know the request: %w", syscall.EOPNOTSUPP)
	}
	return fmt.Errorf("virtio-blk: device answers %#x: %w", r.status[0], syscall.EIO)
}

// finish waits for r and gives it back.
func (d *Device) finish(r *request, w watch) error {
	err := d.await(r, w)
	d.counts.add(r, err)
	r.data, r.bounce = nil, nil
	d.requests.Put(r)
	return err
}

// single does one request whose data is one or no piece.
func (d *Device) single(kind uint32, data []byte, off int64) error {
	r := d.prepare(kind, data, off)
	if err := d.submit(r); err != nil {
		return err
	}
	w := d.watch(r)
	d.queue.Kick()
	return d.finish(r, w)
}

// ranges does discard or write-zeroes requests of at most limit bytes each.
func (d *Device) ranges(kind uint32, off, n, limit int64) error {
	for n > 0 {
		part := min(n, limit)
		if err := d.single(kind, newRange(off, part), 0); err != nil {
			return err
		}
		off, n = off+part, n-part
	}
	return nil
}

// transfer reads or writes p, in as many requests as it takes, all in flight at
// once as far as there is room.
func (d *Device) transfer(kind uint32, p []byte, off int64) (int, error) {
	if err := d.checkBounds(off, int64(len(p))); err != nil {
		return 0, err
	}
	var first [4]*request
	requests := first[:0]
	var failed error
	for rest := p; len(rest) > 0; {
		r, n := d.cut(kind, rest, off)
		if failed = d.submit(r); failed != nil {
			break
		}
		requests = append(requests, r)
		rest, off = rest[n:], off+int64(n)
	}
	var w watch
	if len(requests) == 1 {
		w = d.watch(requests[0])
	}
	d.queue.Kick()
	return d.collect(kind, requests, p, w, failed)
}

// collect waits for all requests, in order, and returns how many bytes from the
// start are good. All are waited for, also after an error: the device uses p
// until then. w is how the first is awaited.
func (d *Device) collect(kind uint32, requests []*request, p []byte, w watch, failed error) (int, error) {
	var first error
	n, at := 0, 0
	for _, r := range requests {
		size, bounce := len(r.data), r.bounce
		err := d.finish(r, w)
		w = watch{}
		if err == nil && kind == typeIn && bounce != nil {
			copy(p[at:at+size], bounce)
		}
		if first == nil && err == nil {
			n += size
		} else if first == nil {
			first = err
		}
		at += size
	}
	if first == nil {
		first = failed
	}
	return n, first
}

const pageSize = 4096

// cut makes a request of the start of p: as many sectors as surely fit into the
// pieces of a request. Where not even one does (a device that takes a single
// piece, and a sector across two pages), the sector is copied.
func (d *Device) cut(kind uint32, p []byte, off int64) (*request, int) {
	n := min(len(p), d.limits.span(pageOffset(p)))
	n -= n % d.limits.sector
	if n > 0 {
		return d.prepare(kind, p[:n], off), n
	}
	bounce := make([]byte, max(d.limits.sector, pageSize))[:d.limits.sector]
	if kind == typeOut {
		copy(bounce, p)
	}
	r := d.prepare(kind, bounce, off)
	r.bounce = bounce
	return r, d.limits.sector
}

// span returns how many bytes, the first of which is at offset in its page, the
// pieces of a request hold if no two pages are adjacent.
func (l *limits) span(offset int) int {
	perPage := 1
	if s := int(l.pieceSize); s != 0 && s < pageSize {
		perPage = (pageSize + s - 1) / s
	}
	return l.pieces/perPage*pageSize - offset
}

func pageOffset(p []byte) int { return int(uintptr(unsafe.Pointer(&p[0])) % pageSize) }
