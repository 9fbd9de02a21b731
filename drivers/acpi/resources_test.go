package acpi

import (
	"reflect"
	"testing"
)

func TestResources(t *testing.T) {
	for name, c := range map[string]struct {
		b    []byte
		want Resources
	}{
		"memory32 fixed": {
			[]byte{0x86, 9, 0, 1, 0, 0, 0xeb, 0xfe, 0, 2, 0, 0, 0x79, 0},
			Resources{Memory: []Range{{0xfeeb0000, 0x200}}},
		},
		"memory32": {
			[]byte{0x85, 17, 0, 1, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0x10, 0, 0, 0x79, 0},
			Resources{Memory: []Range{{0x10000, 0x1000}}},
		},
		"dword": {
			[]byte{0x87, 23, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0xff, 0xff, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0x79, 0},
			Resources{Memory: []Range{{0x10000, 0x10000}}},
		},
		"qword": {
			append(append([]byte{0x8a, 43, 0, 0, 0, 0}, word64(0, 1<<40, 1<<40+0xfff, 0, 0x1000)...), 0x79, 0),
			Resources{Memory: []Range{{1 << 40, 0x1000}}},
		},
		"bus numbers": {
			append(append([]byte{0x8a, 43, 0, 2, 0, 0}, word64(0, 0, 255, 0, 256)...), 0x79, 0),
			Resources{},
		},
		"interrupts": {
			[]byte{0x89, 10, 0, 7, 2, 5, 0, 0, 0, 6, 1, 0, 0, 0x79, 0},
			Resources{Interrupts: []Interrupt{{5, false, true}, {262, false, true}}},
		},
		"irq": {
			[]byte{0x22, 0x10, 0x80, 0x23, 0x02, 0, 0x18, 0x79, 0},
			Resources{Interrupts: []Interrupt{{4, false, false}, {15, false, false}, {1, true, true}}},
		},
		"ports": {
			[]byte{0x47, 1, 0xf8, 3, 0xf8, 3, 1, 8, 0x4b, 0x70, 0, 2, 0x79, 0},
			Resources{Ports: []Range{{0x3f8, 8}, {0x70, 2}}},
		},
	} {
		got, err := ParseResources(c.b)
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
		for n := range len(c.b) - 2 {
			if _, err := ParseResources(c.b[:n]); err == nil {
				t.Errorf("%s: %d of %d bytes are taken for whole", name, n, len(c.b))
			}
		}
	}
}

func word64(values ...uint64) (b []byte) {
	for _, v := range values {
		for i := range 8 {
			b = append(b, byte(v>>(8*i)))
		}
	}
	return b
}

func FuzzResources(f *testing.F) {
	f.Add([]byte{0x86, 9, 0, 1, 0, 0, 0xeb, 0xfe, 0, 2, 0, 0, 0x79, 0})
	f.Add([]byte{0x89, 6, 0, 7, 1, 5, 0, 0, 0, 0x79, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := ParseResources(b)
		for _, m := range r.Memory {
			if m.Size == 0 || m.Base+m.Size < m.Base {
				t.Errorf("range %+v, %v", m, err)
			}
		}
	})
}
