package virtio

// tables is a pool of indirect descriptor tables. They are allocated a page at
// a time when needed and kept, so that the pool is as large as the most chains
// that were in flight at once.
type tables struct {
	mem     Memory
	entries int // descriptors of a table; 0: no tables
	max     int // most tables
	list    []table
	free    []int
}

type table struct {
	desc []descriptor
	phys uint64
}

// get returns the index of a free table, or -1 when there is none and no memory
// for more: the chain then goes into the ring itself.
func (t *tables) get() int {
	if len(t.free) == 0 && len(t.list) < t.max {
		t.grow()
	}
	k := len(t.free) - 1
	if k < 0 {
		return -1
	}
	i := t.free[k]
	t.free = t.free[:k]
	return i
}

// put gives a table back; -1 is none.
func (t *tables) put(i int) {
	if i >= 0 {
		t.free = append(t.free, i)
	}
}

func (t *tables) grow() {
	bytes := t.entries * descSize
	mem, phys, err := t.mem.AllocDMA(alignUp(bytes, pageSize))
	if err != nil {
		t.max = len(t.list)
		return
	}
	for ; len(mem) >= bytes; mem, phys = mem[bytes:], phys+uint64(bytes) {
		t.free = append(t.free, len(t.list))
		t.list = append(t.list, table{descriptors(mem[:bytes]), phys})
	}
}
