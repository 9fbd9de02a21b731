package kernel

import (
	"slices"
	"testing"
)

// The processor under the tests tells who it is.
func TestReadProcessor(t *testing.T) {
	p := ReadProcessor()
	if len(p.Vendor) != 12 || p.Family == 0 || !slices.Contains(p.Features, "sse2") || !slices.Contains(p.Features, "lm") {
		t.Errorf("%+v", p)
	}
	for _, c := range []struct {
		signature               uint32
		family, model, stepping int
	}{{0x000906EA, 6, 158, 10}, {0x00800F12, 23, 1, 2}, {0x00000F41, 15, 4, 1}, {0x00060FB1, 15, 107, 1}, {0x513, 5, 1, 3}} {
		if f, m, s := decodeSignature(c.signature); f != c.family || m != c.model || s != c.stepping {
			t.Errorf("%#x: family %d model %d stepping %d", c.signature, f, m, s)
		}
	}
}

// nextRange goes through the mappings.
func TestNextRange(t *testing.T) {
	m := newTestMachine(t, 1024, 1)
	p := m.room(1)
	va := mapAnonymous(1<<30, 3*pageSize, protRead, true, false)
	r := at[rangeRequest](p)
	var found []vma
	for nextRange(r.v.end, p) == 0 {
		found = append(found, r.v)
	}
	if len(found) != 3 || !slices.Contains(found, vma{start: va, end: va + 3*pageSize, prot: protRead}) {
		t.Errorf("%+v", found)
	}
	if got := nextRange(0, 0); got != errFAULT {
		t.Errorf("a bad pointer: %#x", got)
	}
}
