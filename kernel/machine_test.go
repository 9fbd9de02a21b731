package kernel

import (
	"math/rand"
	"os"
	"strconv"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

// testMachine is a machine without hardware: its physical memory is a piece
// of this process's, its clock stands until it is moved, and the interrupts
// that its processors would get are given to them by hand. Of the kernel,
// everything behind the gates runs on it as it is. There is one at a time,
// since the kernel's state is global.
type testMachine struct {
	t *testing.T
	*rand.Rand
	setup uint64 // pages in use for ever
}

// newTestMachine makes a machine with that many pages of memory, in two
// pieces.
func newTestMachine(t *testing.T, pages, processors int) *testMachine {
	t.Helper()
	// Not from the Go heap: the kernel makes pointers of numbers, which the
	// race detector's checks of pointers forbid there.
	memory, err := syscall.Mmap(-1, 0, pages*pageSize, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	forgetMachine()
	physOffset = uintptr(unsafe.Pointer(&memory[0]))
	half := uint64(pages) / 2 * pageSize
	addRegion(100, half-5) // parts of pages do not count
	addRegion(half, uint64(pages)*pageSize)
	quiet = true
	mem.lock()
	pageRoot = allocZeroPage()
	vmaBase = direct(allocContiguous((maxVMAs*vmaSize + pageSize - 1) / pageSize))
	clockPage = direct(allocZeroPage()) // a multiplier of 0: the clock stands
	insertVMA(0, vma{start: 0, end: 1 << 20, fixed: true})
	mem.unlock()
	tscHz = 1
	*clockWord(24) = uint64(time.Hour)
	for i := range processors {
		newProcessor(i, uint32(i)).online = true
		cpuAt(i).idle = 1
	}
	cpuCount = processors
	threads = makeTable(maxThreads, threadSize)
	initDescriptors()
	initFutexes()
	m := &testMachine{t: t, Rand: rand.New(rand.NewSource(seed(t)))}
	m.setup = pagesTotal - freePages() - m.tablePages()
	t.Cleanup(func() {
		forgetMachine()
		if err := syscall.Munmap(memory); err != nil {
			t.Error(err)
		}
	})
	return m
}

// forgetMachine brings the kernel's variables back to what they are at boot.
func forgetMachine() {
	regions, regionCount = [maxRegions]region{}, 0
	freeHead, pagesTotal, physOffset, pageRoot = 0, 0, 0, 0
	pagesFree.Store(0)
	reserve = reservePages / 2
	vmaBase, vmaCount = 0, 0
	fileMappings.Store(0)
	clockPage, tscHz = 0, 0
	cpus, cpuCount, kicked = [maxCPUs]uintptr{}, 0, 0
	threads, threadTop = table{}, 0
	threadCount.Store(0)
	descriptors, polls = table{}, table{}
	pollTop, fdLow = 0, 0
	runtimeEpoll, pollerWaits, pollerThread, sysmonThread = nobody, nobody, nobody, nobody
	pollerUsed, lastPolled, alertsPaid, pollerDue = 0, 0, 0, false
	wokenFor.vector, wokenFor.thread = 0, nobody
	futexes = 0
	serving, idleCount = false, 0
	callsFirst, callsLast, idleFirst = nobody, nobody, nobody
	interruptFD, nextVector = [256]int32{}, vecDevice
	actions = [numSignals + 1]action{}
	deathFD = 0
	deathFrom.Store(0)
	saved.Store(false)
	crashing.Store(false)
	crasher.Store(0)
	crashEnd = 0
	quiet = false
	logEnd.Store(0)
}

// seed is a new one for each run, or SEED of the environment.
func seed(t *testing.T) int64 {
	s, err := strconv.ParseInt(os.Getenv("SEED"), 10, 64)
	if err != nil {
		s = time.Now().UnixNano()
	}
	t.Logf("SEED=%d", s)
	return s
}

// rounds is how long random histories are.
func rounds(n int) int {
	if testing.Short() {
		return n / 10
	}
	return n
}

// room returns n pages that the program has resident, at the address that
// they have in this process too, so that the kernel may reach into them.
func (m *testMachine) room(n uintptr) uintptr {
	mem.lock()
	defer mem.unlock()
	p := allocContiguous(uint64(n))
	va := direct(p)
	zero(va, n*pageSize)
	if p == 0 || !insertVMA(findVMA(va), vma{start: va, end: va + n*pageSize, prot: protRead | protWrite, fixed: true}) {
		m.t.Fatal("no memory for the test")
	}
	for off := uintptr(0); off < n*pageSize; off += pageSize {
		if !mapPage(va+off, p+uint64(off), pteWrite|pteNX) {
			m.t.Fatal("no memory for the test")
		}
	}
	m.setup = pagesTotal - freePages() - m.tablePages()
	return va
}

// tablePages counts the pages of the page tables, and with them the pages
// that belong to mappings. It fails if one has two uses.
func (m *testMachine) tablePages() uint64 {
	seen := map[uint64]bool{}
	take := func(p uint64) {
		if seen[p] || p == 0 || p%pageSize != 0 {
			m.t.Fatalf("page %#x is used twice, or is none", p)
		}
		seen[p] = true
	}
	var walk func(p uint64, level int)
	walk = func(p uint64, level int) {
		take(p)
		for i := range uintptr(512) {
			v := *at[uint64](direct(p) + i*8)
			switch {
			case level > 0 && v&ptePresent != 0:
				walk(v&pteAddress, level-1)
			case level == 0 && v&pteOwned != 0:
				take(v & pteAddress)
			}
		}
	}
	walk(pageRoot, 3)
	n := uint64(len(seen))
	// The free pages are others, and as many as the kernel thinks.
	free := uint64(0)
	for p := freeHead; p != 0; p = *at[uint64](direct(p)) {
		take(p)
		free++
	}
	for _, r := range regions[:regionCount] {
		free += (r.end - r.start) / pageSize
		for p := range seen {
			if p >= r.start && p < r.end {
				m.t.Fatalf("page %#x is in use and free", p)
			}
		}
	}
	if free != freePages() {
		m.t.Fatalf("%d pages are free, the kernel counts %d", free, freePages())
	}
	return n
}

// checkMemory fails if a page is lost.
func (m *testMachine) checkMemory() {
	m.t.Helper()
	if got := pagesTotal - freePages() - m.tablePages(); got != m.setup {
		m.t.Fatalf("%d pages are in use that nobody has", int64(got-m.setup))
	}
}
