package mmio

import (
	"testing"
	"unsafe"
)

func region() (Region, []byte) {
	words := make([]uint64, 8)
	b := unsafe.Slice((*byte)(unsafe.Pointer(&words[0])), 64)
	return Region{base: unsafe.Pointer(&words[0]), size: 64}, b
}

func TestWidths(t *testing.T) {
	r, b := region()
	r.Write8(1, 0x11)
	r.Write16(2, 0x3322)
	r.Write32(4, 0x77665544)
	for i := 1; i < 8; i++ {
		if b[i] != byte(i)*0x11 {
			t.Errorf("byte %d is %#x", i, b[i])
		}
	}
	if r.Read8(3) != 0x33 || r.Read16(4) != 0x5544 || r.Read32(4) != 0x77665544 {
		t.Error("reads differ from what was written")
	}
}

func TestWindow(t *testing.T) {
	r, b := region()
	w, err := Window(r, 16, 8)
	if err != nil {
		t.Fatal(err)
	}
	w.Write8(7, 1)
	w.Write16(2, 0x0202)
	w.Write32(4, w.Read32(4)|4)
	if b[23] != 1 || w.Read16(2) != 0x0202 || w.Read8(4) != 4 || w.Len() != 8 {
		t.Errorf("window wrote % x", b[16:24])
	}
	for _, bad := range [][2]int{{-1, 4}, {60, 8}, {65, 0}, {0, -1}, {1 << 62, 1 << 62}} {
		if _, err := Window(r, bad[0], bad[1]); err == nil {
			t.Errorf("window %v accepted", bad)
		}
	}
}

func TestOutOfBounds(t *testing.T) {
	r, _ := region()
	w, _ := Window(r, 8, 8)
	for name, access := range map[string]func(){
		"past the end": func() { r.Read32(64) },
		"negative":     func() { r.Read8(-1) },
		"unaligned":    func() { r.Read16(1) },
		"window":       func() { w.Write32(8, 0) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			access()
		}()
	}
}
