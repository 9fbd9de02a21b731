package unpack

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"

	"github.com/pierrec/lz4/v4"
)

// model is the LZ4 block format, read plainly (lz4_Block_format.md): what src
// unpacks to if that is n bytes.
func model(src []byte, n int) ([]byte, bool) {
	var out []byte
	number := func(v int) (int, bool) {
		for more := v == 15; more; {
			if len(src) == 0 {
				return 0, false
			}
			v += int(src[0])
			more = src[0] == 255
			src = src[1:]
		}
		return v, true
	}
	for len(src) > 0 {
		token := src[0]
		src = src[1:]
		literals, ok := number(int(token >> 4))
		if !ok || literals > len(src) || literals > n-len(out) {
			return nil, false
		}
		out = append(out, src[:literals]...)
		if src = src[literals:]; len(src) == 0 {
			return out, len(out) == n
		}
		if len(src) < 2 {
			return nil, false
		}
		distance := int(binary.LittleEndian.Uint16(src))
		src = src[2:]
		match, ok := number(int(token & 15))
		if match += 4; !ok || distance == 0 || distance > len(out) || match > n-len(out) {
			return nil, false
		}
		for range match {
			out = append(out, out[len(out)-distance])
		}
	}
	return nil, false
}

// arena is memory between pages that cannot be touched.
type arena []byte

func newArena(t testing.TB, n int) arena {
	const none, all = syscall.PROT_NONE, syscall.PROT_READ | syscall.PROT_WRITE
	size := int(pageUp(uint64(n)))
	m, err := syscall.Mmap(-1, 0, size+2*pageSize, none, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Munmap(m); err != nil {
			t.Error(err)
		}
	})
	if err := syscall.Mprotect(m[pageSize:pageSize+size], all); err != nil {
		t.Fatal(err)
	}
	return m[pageSize : pageSize+size]
}

// pieces are the first and the last n bytes: what is before, or behind, them
// cannot be touched.
func (a arena) pieces(n int) [2][]byte { return [2][]byte{a[:n:n], a[len(a)-n:]} }

// arenas are where a test's blocks lie.
type arenas struct{ src, dst arena }

// compare holds the machine code against the model. Bytes around dst must not
// change.
func (a arenas) compare(t *testing.T, src []byte, n int) {
	want, ok := model(src, n)
	for i, dst := range a.dst.pieces(n) {
		at := a.src.pieces(len(src))[i]
		copy(at, src)
		for j := range a.dst {
			a.dst[j] = 0x5A
		}
		got := decode(at, dst)
		if got != ok {
			t.Fatalf("% x to %d bytes: %v, want %v", src, n, got, ok)
		}
		if ok && !bytes.Equal(dst, want) {
			t.Fatalf("% x to %d bytes: differs", src, n)
		}
		for i := range dst {
			dst[i] = 0x5A
		}
		if bytes.Count(a.dst, []byte{0x5A}) != len(a.dst) {
			t.Fatalf("% x to %d bytes: others were written", src, n)
		}
	}
}

// text is data of a kind that compresses: literals, and matches of all
// distances and lengths.
func text(r *rand.Rand, n int) []byte {
	var b []byte
	for len(b) < n {
		distance, length := 1+r.IntN(1<<(1+r.IntN(16))), 4+r.IntN(1<<(1+r.IntN(10)))
		for range r.IntN(1 << r.IntN(8)) {
			b = append(b, byte(r.Uint32()))
		}
		for range length {
			if distance <= len(b) {
				b = append(b, b[len(b)-distance])
			}
		}
	}
	return b[:n]
}

func source(t *testing.T) *rand.Rand {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// The machine code unpacks what the library packs, and refuses what is cut or
// changed as the model does.
func TestDecode(t *testing.T) {
	const most = 1 << 14
	r := source(t)
	a := arenas{newArena(t, lz4.CompressBlockBound(most)), newArena(t, most+64)}
	for range 300 {
		data := text(r, 1+r.IntN(most))
		packed := make([]byte, lz4.CompressBlockBound(len(data)))
		n, err := lz4.CompressBlockHC(data, packed, lz4.Level9, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		packed = packed[:n]
		if got, ok := model(packed, len(data)); n > 0 && (!ok || !bytes.Equal(got, data)) {
			t.Fatal("the model is wrong")
		}
		a.compare(t, packed, len(data))
		a.compare(t, packed, len(data)-1)
		a.compare(t, packed, len(data)+1+r.IntN(64))
		a.compare(t, packed[:r.IntN(n+1)], len(data))
		for range min(n, 20) {
			packed[r.IntN(n)] ^= 1 << r.IntN(8)
			a.compare(t, packed, len(data))
		}
	}
}

func FuzzDecode(f *testing.F) {
	const most = 1 << 12
	a := arenas{newArena(f, most), newArena(f, most)}
	f.Add([]byte{}, uint(0))
	f.Add([]byte{0x00}, uint(0))
	f.Add([]byte{0x1F, 'a', 1, 0, 255, 3, 0x00}, uint(277))
	f.Add([]byte("\xF0\xFF\xFF"), uint(100))
	f.Add([]byte("\x10a\x00\x00\x00"), uint(5))
	f.Fuzz(func(t *testing.T, src []byte, n uint) {
		if len(src) <= most && n <= most {
			a.compare(t, src, int(n))
		}
	})
}

// unpackModel does what the code does, byte by byte, in a memory that begins
// at the address start.
func unpackModel(t *testing.T, p Program, i *Image, start uint64) []byte {
	last := p.Segments[len(p.Segments)-1]
	memory := make([]byte, max(i.Address+uint64(len(i.Bytes)), last.Address+last.Size)-start)
	copy(memory[i.Address-start:], i.Bytes)
	table := i.Bytes[i.Linux-linuxOffset+tableOffset:]
	if got := binary.LittleEndian.Uint64(table); got != i.Address {
		t.Fatalf("the payload is said to be at %#x and is at %#x", got, i.Address)
	}
	src := i.Address - start
	for _, s := range p.Segments {
		at := s.Address - start
		for end := at + uint64(len(s.Data)); at < end; {
			n := uint64(binary.LittleEndian.Uint32(memory[src:]))
			to := min(at+chunkSize, end)
			src += 4
			if to > src && n > 0 {
				t.Fatalf("a chunk at %#x is overwritten up to %#x", src+start, to+start)
			}
			if packed := memory[src : src+n]; n == to-at {
				copy(memory[at:to], packed)
			} else if !decode(packed, memory[at:to:to]) {
				t.Fatal("a chunk cannot be unpacked")
			}
			src, at = src+n, to
		}
		clear(memory[at : s.Address+s.Size-start])
	}
	if end := i.Address + i.Linux - linuxOffset - start; src > end || max(src, last.Address+last.Size-start) > end {
		t.Fatalf("the code is at %#x and is overwritten", end+start)
	}
	return memory
}

// Whatever the segments, the payload is read before it is overwritten.
func TestPack(t *testing.T) {
	const start = 1 << 20
	r := source(t)
	for range 12 {
		var p Program
		at := uint64(start)
		for range 1 + r.IntN(4) {
			at += uint64(r.IntN(3)) * pageSize * uint64(r.IntN(100))
			data := make([]byte, r.IntN(2*chunkSize))
			switch r.IntN(3) {
			case 0:
				copy(data, text(r, len(data)))
			case 1: // does not compress
				for i := range data {
					data[i] = byte(r.Uint32())
				}
			}
			size := uint64(len(data) + 1 + r.IntN(1<<(1+r.IntN(21))))
			p.Segments = append(p.Segments, Segment{Address: at, Data: data, Size: size})
			at = pageUp(at + size)
		}
		i, err := Pack(p)
		if err != nil {
			t.Fatal(err)
		}
		memory := unpackModel(t, p, i, start)
		for _, s := range p.Segments {
			got := memory[s.Address-start:][:s.Size]
			if !bytes.Equal(got[:len(s.Data)], s.Data) {
				t.Errorf("the segment at %#x differs", s.Address)
			}
			if bytes.Count(got[len(s.Data):], []byte{0}) != len(got)-len(s.Data) {
				t.Errorf("the end of the segment at %#x is not zero", s.Address)
			}
		}
	}
}

func TestCheck(t *testing.T) {
	good := Segment{Address: 16 << 20, Data: []byte("code"), Size: 8}
	for want, segments := range map[string][]Segment{
		"0 segments":  nil,
		"17 segments": make([]Segment, 17),
		"0x1000001":   {{Address: 16<<20 + 1, Size: 1}},
		"below":       {good, good},
		"0x10 bytes":  {{Address: 16 << 20, Data: make([]byte, 16), Size: 8}},
		"0x100000":    {{Address: 4096, Size: 1}},
		"bytes of":    {{Address: 16 << 20, Size: 4 << 30}},
	} {
		if _, err := Pack(Program{Segments: segments}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q in it", err, want)
		}
	}
	if _, err := Pack(Program{Segments: []Segment{good}, Entry: 1 << 32}); err == nil {
		t.Error("an entry above 4 GiB is taken")
	}
}

// The code and its constants are of one mind.
func TestCode(t *testing.T) {
	b := codeBytes()
	if len(b) > codeSize || len(b) < 500 {
		t.Errorf("%d bytes of code", len(b))
	}
	if textOffset+len(message(addressLimit)) > segments || segments+(maxSegments+1)*segmentSize > pageSize-256 {
		t.Error("the table's parts overlap, or leave no room for a stack")
	}
}
