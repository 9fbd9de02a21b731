package unpack

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"sync"

	"github.com/pierrec/lz4/v4"
)

// Segment is a part of a program's memory.
type Segment struct {
	Address    uint64 // physical, and as a Linux process sees it; the start of a page
	Data       []byte // what it begins with
	Size       uint64 // its bytes; those behind Data are zero
	Protection uint32 // of a Linux process: mmap's
}

// Program is what an image holds.
type Program struct {
	Segments []Segment // by ascending address, below 4 GiB
	Entry    uint64    // where a PVH boot loader would enter it, in one of the segments
	Linux    uint64    // where it starts as a Linux process
}

// Image is a program packed: one piece of memory.
type Image struct {
	Address uint64 // physical address to load it at, the start of a page
	Bytes   []byte
	Entry   uint64 // physical address of its PVH entry
	Linux   uint64 // offset in Bytes of its entry as a Linux process, which must find them at another address
}

// Pack compresses a program, on all processors. The error says what about the
// program cannot be handled.
func Pack(p Program) (*Image, error) {
	if err := p.check(); err != nil {
		return nil, fmt.Errorf("unpack: %w", err)
	}
	chunks := p.chunks()
	if err := compress(chunks); err != nil {
		return nil, fmt.Errorf("unpack: %w", err)
	}
	var b []byte
	for _, c := range chunks {
		b = binary.LittleEndian.AppendUint32(b, uint32(len(c.packed)))
		b = append(b, c.packed...)
	}
	n := uint64(len(b))
	last := p.Segments[len(p.Segments)-1]
	at := pageUp(max(lowest(chunks)+pageUp(n), last.Address+last.Size))
	if at+blockSize > addressLimit {
		return nil, fmt.Errorf("unpack: the image ends at %#x, above 4 GiB", at+blockSize)
	}
	base := at - pageUp(n)
	b = append(b, make([]byte, pageUp(n)-n)...)
	b = append(b, p.block(base, n, at)...)
	return &Image{Address: base, Bytes: b, Entry: at + pvhOffset, Linux: at - base + linuxOffset}, nil
}

// chunk is a part of a segment.
type chunk struct {
	data   []byte
	end    uint64 // of what is written once it is unpacked
	packed []byte // as short as data itself at most
}

// chunks cuts the segments. What is zero at a segment's end is written before
// the next chunk is read, and lies below that chunk's own end.
func (p *Program) chunks() []chunk {
	var list []chunk
	for _, s := range p.Segments {
		for at := 0; at < len(s.Data); at += chunkSize {
			to := min(at+chunkSize, len(s.Data))
			list = append(list, chunk{data: s.Data[at:to], end: s.Address + uint64(to)})
		}
	}
	return list
}

// lowest returns the lowest address for the payload from which on no chunk is
// overwritten before it is read.
func lowest(chunks []chunk) uint64 {
	base, offset := uint64(1<<20), uint64(0)
	for _, c := range chunks {
		if c.end > offset {
			base = max(base, c.end-offset)
		}
		offset += 4 + uint64(len(c.packed))
	}
	return base
}

func pageUp(n uint64) uint64 { return (n + pageSize - 1) &^ (pageSize - 1) }

// compress packs the chunks.
func compress(chunks []chunk) error {
	work := make(chan *chunk)
	failed := make(chan error, 1)
	var wait sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wait.Go(func() {
			c := lz4.CompressorHC{Level: lz4.Level9}
			for w := range work {
				if err := w.compress(&c); err != nil {
					select {
					case failed <- err:
					default:
					}
				}
			}
		})
	}
	for i := range chunks {
		work <- &chunks[i]
	}
	close(work)
	wait.Wait()
	select {
	case err := <-failed:
		return err
	default:
		return nil
	}
}

// compress packs the chunk, or leaves it as it is where that is no gain.
func (c *chunk) compress(with *lz4.CompressorHC) error {
	out := make([]byte, lz4.CompressBlockBound(len(c.data)))
	n, err := with.CompressBlock(c.data, out)
	if err != nil {
		return err
	}
	if c.packed = out[:n]; n == 0 || n >= len(c.data) {
		c.packed = c.data
	}
	return nil
}
