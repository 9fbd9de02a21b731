package blockfs

import (
	"io"
	"sync"
)

// bounce buffers carry reads that are not whole sectors.
var bounces = sync.Pool{New: func() any { return new([directBytes]byte) }}

// readAt fills p from off, as io.ReaderAt. It takes no lock while the device
// works, so that neither writers nor commits hold it up.
func (fs *FS) readAt(in *inode, p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, io.ErrUnexpectedEOF
	}
	n := 0
	for n < len(p) {
		k, err := fs.readSome(in, p[n:], off+int64(n))
		if err != nil {
			return n, err
		}
		n += k
	}
	return n, nil
}

// readSome fills a part of p: from the buffer of an unfinished write, or from
// one span of the device.
func (fs *FS) readSome(in *inode, p []byte, off int64) (int, error) {
	in.view.RLock()
	if off >= in.size {
		in.view.RUnlock()
		return 0, io.EOF
	}
	p = p[:min(int64(len(p)), in.size-off)]
	b := &in.buf
	if off >= b.off && off < b.end() {
		n := copy(p, b.data[off-b.off:])
		in.view.RUnlock()
		return n, nil
	}
	if off < b.off && len(b.data) > 0 {
		p = p[:min(int64(len(p)), b.off-off)]
	}
	at := in.at(off)
	in.view.RUnlock()
	return fs.readDevice(p[:min(int64(len(p)), at.n)], at.off)
}

// at finds where byte off of the file is on the device and how many bytes
// follow it there; in.view is held.
func (in *inode) at(off int64) span {
	for _, e := range in.extents {
		if n := e.bytes(); off < n {
			return span{int64(e.start)*blockSize + off, n - off}
		}
		off -= e.bytes()
	}
	return span{}
}

// readDevice fills p, or a leading part of it, from byte off of the device. What
// is aligned and long goes straight into p.
func (fs *FS) readDevice(p []byte, off int64) (int, error) {
	if len(p) == 0 {
		return 0, io.ErrUnexpectedEOF // an extent is missing: never spin
	}
	skip := off % fs.sector
	if direct := alignDown(int64(len(p)), fs.sector); skip == 0 && (direct == int64(len(p)) || direct >= directBytes) {
		return int(direct), readDevice(fs.dev, p[:direct], off)
	}
	bounce := bounces.Get().(*[directBytes]byte)
	defer bounces.Put(bounce)
	n := min(alignUp(skip+int64(len(p)), fs.sector), directBytes)
	if int64(len(p)) >= 2*directBytes {
		n = fs.sector // only up to the next sector, then directly
	}
	if err := readDevice(fs.dev, bounce[:n], off-skip); err != nil {
		return 0, err
	}
	return copy(p, bounce[skip:n]), nil
}
