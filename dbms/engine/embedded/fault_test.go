package embedded

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/tuplix/tuplix/dbms/engine"
)

var faultAll = flag.Bool("faults.all", false, "fail every operation in TestFaults")

// TestFaults lets one I/O operation of a workload fail, or all from it on, each in
// turn: no wrong answer, no acknowledged transaction lost, a clear error, and all
// well once the fault has ended and the store is opened again.
func TestFaults(t *testing.T) {
	for _, errno := range []syscall.Errno{syscall.EIO, syscall.ENOSPC} {
		for _, forever := range []bool{false, true} {
			t.Run(fmt.Sprintf("%v/forever=%v", errno, forever), func(t *testing.T) {
				t.Parallel()
				step := 1
				if (testing.Short() || raced) && !*faultAll {
					step = 41
				}
				n := 0
				for ; ; n += step {
					hit, err := faultRun(uint64(n), n, errno, forever)
					if err != nil {
						t.Fatalf("operation %d fails: %v", n, err)
					}
					if !hit {
						break
					}
					if !*faultAll {
						step = max(step, n/25) // densely at first, without the race detector
					}
				}
				t.Logf("of %d operations", n)
			})
		}
	}
}

// injector fails operation n, or all from n on.
type injector struct {
	left    atomic.Int64
	hit     atomic.Bool
	on      atomic.Bool
	forever bool
	errno   error
}

func (i *injector) String() string { return "nth" }

func (i *injector) MaybeError(op errorfs.Op) error {
	if !i.on.Load() {
		return nil
	}
	left := i.left.Add(-1)
	if left == 0 || left < 0 && i.forever {
		i.hit.Store(true)
		return &errorWithPath{op.Path, i.errno}
	}
	return nil
}

type errorWithPath struct {
	path  string
	errno error
}

func (e *errorWithPath) Error() string { return e.path + ": " + e.errno.Error() }
func (e *errorWithPath) Unwrap() error { return e.errno }

func faultRun(seed uint64, n int, errno error, forever bool) (hit bool, err error) {
	h := newHistory(seed)
	fs := vfs.NewMem()
	inj := &injector{forever: forever, errno: errno}
	inj.left.Store(int64(n) + 1)
	e, err := h.open(errorfs.Wrap(fs, inj))
	if err != nil {
		return false, err
	}
	inj.on.Store(true)
	for i := range 120 {
		if err = h.step(e, func() bool { return false }); err != nil {
			break
		}
		if i%20 == 19 {
			if _, err = e.db.AsyncFlush(); err != nil {
				break
			}
		}
	}
	if err != nil && !expected(err) {
		return inj.hit.Load(), fmt.Errorf("an error that tells nothing: %w", err)
	}
	if err != nil {
		// The step that failed may have taken effect, in whole: that is unknown.
		err = nil
	}
	_ = e.Close() // it may report the fault, or not see it
	hit = inj.hit.Load()
	inj.on.Store(false)
	h.unknown = true
	again, err := h.open(fs)
	if err != nil {
		return hit, fmt.Errorf("after the fault: %w", err)
	}
	if err := h.session(again, 10, func() bool { return false }); err != nil {
		return hit, fmt.Errorf("after the fault: %w", err)
	}
	return hit, again.Close()
}

// expected tells the errors that a failing device may give.
func expected(err error) bool {
	for _, want := range []error{engine.ErrFatal, engine.ErrUnknown, engine.ErrFull, syscall.EIO, syscall.ENOSPC} {
		if errors.Is(err, want) {
			return true
		}
	}
	return false
}

// TestFull: a transaction that the volume has no room for is refused before
// anything is written, and the store goes on.
func TestFull(t *testing.T) {
	fs := &smallFS{FS: vfs.NewMem()}
	fs.free.Store(1 << 30)
	e, err := Open(fs, "store", Options{Memory: MinMemory})
	must(t, err)
	put := func(key string) error {
		_, err := e.Update(context.Background(), nil, func(tx engine.Tx) error { return tx.Put([]byte(key), make([]byte, 100<<10)) })
		return err
	}
	must(t, put("a"))
	fs.free.Store(1 << 20)
	for i := 0; err == nil && i < 100; i++ {
		err = put(fmt.Sprint("b", i))
	}
	if !errors.Is(err, engine.ErrFull) {
		t.Fatalf("on a full volume: %v", err)
	}
	must(t, e.Retain(context.Background(), nil, engine.All, engine.MinRetention))
	fs.free.Store(1 << 30)
	must(t, put("c"))
	must(t, check(e))
	must(t, e.Close())
}

type smallFS struct {
	vfs.FS
	free atomic.Uint64
}

func (s *smallFS) GetDiskUsage(string) (vfs.DiskUsage, error) {
	return vfs.DiskUsage{TotalBytes: 2 << 30, AvailBytes: s.free.Load()}, nil
}

// TestFormat: what this program cannot read is refused, with advice.
func TestFormat(t *testing.T) {
	for _, c := range []struct {
		record []byte
		want   error
	}{
		{append([]byte("tuplix\x04"), make([]byte, 8)...), ErrFormat},
		{append([]byte("tuplix\x00"), make([]byte, 8)...), ErrFormat},
		{[]byte("tuplix\x01"), ErrFormat},
		{append([]byte("other \x01"), make([]byte, 8)...), ErrFormat},
		{append([]byte("tuplix\x01"), make([]byte, 9)...), engine.ErrCorrupt},
	} {
		fs := vfs.NewMem()
		e, err := Open(fs, "store", Options{NoBackground: true})
		must(t, err)
		must(t, e.db.Set(metaKey(metaFormat), c.record, nil))
		must(t, e.Close())
		if _, err := Open(fs, "store", Options{}); !errors.Is(err, c.want) {
			t.Errorf("format %q: %v", c.record, err)
		}
	}
}

// TestDamage: a flipped bit in any table is found by Check, and never served.
func TestDamage(t *testing.T) {
	mem := vfs.NewCrashableMem()
	h := newHistory(1)
	e, err := h.open(mem)
	must(t, err)
	must(t, h.session(e, 300, func() bool { return false }))
	must(t, e.db.Flush())
	must(t, e.Close())
	names, err := mem.List("store")
	must(t, err)
	damaged := 0
	for _, name := range names {
		if !isTable(name) {
			continue
		}
		info, err := mem.Stat("store/" + name)
		must(t, err)
		for off := int64(0); off < info.Size(); off += 1 + info.Size()/40 {
			damaged++
			tryDamage(t, h, mem, "store/"+name, off)
		}
	}
	if damaged < 40 {
		t.Errorf("only %d places were tried", damaged)
	}
}

func tryDamage(t *testing.T, h *history, mem *vfs.MemFS, name string, off int64) {
	t.Helper()
	fs := mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: h.rng})
	f, err := fs.OpenReadWrite(name, vfs.WriteCategoryUnspecified)
	must(t, err)
	b := make([]byte, 1)
	_, err = f.ReadAt(b, off)
	must(t, err)
	b[0] ^= 1 << (off % 8)
	_, err = f.WriteAt(b, off)
	must(t, err)
	must(t, f.Close())
	e, err := Open(fs, "store", Options{Memory: MinMemory, NoBackground: true, Now: func() time.Time { return h.clock }})
	if err != nil {
		return // refused
	}
	found := check(e) != nil
	last := len(h.states) - 1
	if err := h.compare(e, last); err != nil && !errors.Is(err, engine.ErrCorrupt) {
		t.Errorf("%s at %d: %v", name, off, err)
	} else if err != nil && !found {
		t.Errorf("%s at %d: reading fails (%v), but Check finds nothing", name, off, err)
	}
	_ = e.Close()
}
