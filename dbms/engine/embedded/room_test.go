package embedded

import (
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tuplix/tuplix/dbms/blockdev/crash"
	"github.com/tuplix/tuplix/dbms/blockfs"
	"github.com/tuplix/tuplix/dbms/engine"
)

var (
	roomTimes = flag.Int64("room.times", 3, "TestRewrite writes so many times the size of the disk")
	roomLarge = flag.Bool("room.large", false, "TestRewrite also with a disk of 256 MiB")
)

// TestRewrite rewrites the same rows for many times the size of the disk, with
// restarts and power cuts in between. It never runs out of room, and what was
// acknowledged is there.
func TestRewrite(t *testing.T) {
	for _, c := range []struct{ disk, row int }{{16 << 20, 20_000}, {16 << 20, 500}, {48 << 20, 100_000}, {256 << 20, 200_000}} {
		times, quick := *roomTimes, testing.Short() || raced
		if quick {
			times = 1
		}
		if (c.disk > 16<<20 || c.row < 20_000) && quick || c.disk > 48<<20 && !*roomLarge {
			continue
		}
		t.Run(fmt.Sprintf("%dM-%d", c.disk>>20, c.row), func(t *testing.T) {
			w := &rewriter{t: t, dev: crash.New(int64(c.disk), 512), size: c.row, rng: rand.New(rand.NewPCG(1, uint64(c.row)))}
			w.rows = make([]rewritten, c.disk/5/c.row)
			const turns = 6
			for turn := range turns {
				w.turn(int64(c.disk)*times/turns, turn%2 == 1)
			}
		})
	}
}

// rewriter knows of each row the last number that was acknowledged, and the last
// that was tried.
type rewriter struct {
	t    *testing.T
	dev  *crash.Device
	size int
	rng  *rand.Rand
	rows []rewritten
	next uint64
}

type rewritten struct{ acked, tried uint64 }

func (w *rewriter) open() (*blockfs.FS, *Engine) {
	w.t.Helper()
	fs, err := blockfs.Open(w.dev, blockfs.Options{FormatBlank: true})
	must(w.t, err)
	e, err := Open(fs, "store", Options{Memory: MinMemory, Log: w.t.Logf})
	must(w.t, err)
	return fs, e
}

// turn opens the store, looks at the rows, writes so many bytes, and closes it, or
// has the power cut before.
func (w *rewriter) turn(bytes int64, cut bool) {
	fs, e := w.open()
	w.verify(e)
	if cut {
		w.dev.ForkAfter(int(bytes/40_000) + w.rng.IntN(1000))
	}
	buf := make([]byte, w.size)
	for ; bytes > 0; bytes -= int64(w.size) {
		w.next++
		i := w.rng.IntN(len(w.rows))
		fill(buf, w.next)
		w.rows[i].tried = w.next
		_, err := e.Update(context.Background(), nil, func(tx engine.Tx) error { return tx.Put(rowKey(i), buf) })
		if err != nil {
			w.t.Fatalf("row %d, with %+v: %v", w.next, e.Metrics().Room, err)
		}
		if !w.dev.Cut() {
			w.rows[i].acked = w.next
		}
	}
	w.t.Logf("%+v", e.Metrics().Room)
	must(w.t, check(e))
	must(w.t, e.Close())
	must(w.t, fs.Close())
	if cut {
		var err error
		w.dev, err = w.dev.Crash(w.rng)
		must(w.t, err)
	} else {
		_, err := blockfs.Check(w.dev)
		must(w.t, err)
	}
}

func rowKey(i int) []byte { return fmt.Appendf(nil, "row%06d", i) }

// fill makes content that tells its number and does not compress.
func fill(p []byte, number uint64) {
	r := rand.NewChaCha8([32]byte{byte(number), byte(number >> 8), byte(number >> 16), byte(number >> 24)})
	_, _ = r.Read(p)
	binary.BigEndian.PutUint64(p, number)
}

func (w *rewriter) verify(e *Engine) {
	w.t.Helper()
	want := make([]byte, w.size)
	must(w.t, e.View(context.Background(), "", func(r engine.Reader) error {
		for i := range w.rows {
			value, found, err := r.Get(rowKey(i))
			if err != nil || !found {
				if found || err != nil || w.rows[i].acked > 0 {
					w.t.Fatalf("row %d: found %v, %v", i, found, err)
				}
				continue
			}
			n := binary.BigEndian.Uint64(value)
			fill(want, n)
			if n < w.rows[i].acked || n > w.rows[i].tried || string(want) != string(value) {
				w.t.Fatalf("row %d has number %d, acknowledged were %+v", i, n, w.rows[i])
			}
			w.rows[i].acked = n
		}
		return nil
	}))
	must(w.t, check(e))
}

// TestFullAgain fills a disk, deletes, and goes on, again and again; also when the
// store was closed while it was full.
func TestFullAgain(t *testing.T) {
	rounds := 4
	if testing.Short() {
		rounds = 2
	}
	w := &rewriter{t: t, dev: crash.New(16<<20, 512), size: 20_000}
	fs, e := w.open()
	buf := make([]byte, w.size)
	low, high, first := 0, 0, 0
	for round := range rounds {
		err := error(nil)
		for ; err == nil; high++ {
			fill(buf, uint64(high))
			_, err = e.Update(context.Background(), nil, func(tx engine.Tx) error { return tx.Put(rowKey(high), buf) })
		}
		high--
		if !errors.Is(err, engine.ErrFull) {
			t.Fatal(err)
		}
		if first == 0 {
			first = high
		}
		if m := e.Metrics().Room; m.Refused == 0 || m.Passes == 0 || m.Free > m.Early {
			t.Errorf("round %d: metrics %+v", round, m)
		}
		if n := high - low; n < first*8/10 {
			t.Errorf("round %d: full with %d rows, at first with %d", round, n, first)
		}
		if round%2 == 1 {
			must(t, e.Close())
			must(t, fs.Close())
			fs, e = w.open()
		}
		// Rows that get smaller, and rows that are deleted, one in ten not.
		_, err = e.Update(context.Background(), nil, func(tx engine.Tx) error { return tx.Put(rowKey(high-1), buf[:10]) })
		must(t, err)
		for to := low + (high-low)*9/10; low < to; low++ {
			_, err := e.Update(context.Background(), nil, func(tx engine.Tx) error { return tx.Delete(rowKey(low)) })
			if err != nil {
				t.Fatalf("delete on a full device, with %+v: %v", e.Metrics().Room, err)
			}
		}
	}
	must(t, check(e))
	must(t, e.Close())
	must(t, fs.Close())
}

// TestEarly: a view that has begun reads what it saw however little room there is,
// and an older version says clearly that it is gone.
func TestEarly(t *testing.T) {
	w := &rewriter{t: t, dev: crash.New(16<<20, 512), size: 20_000}
	fs, e := w.open()
	buf := make([]byte, w.size)
	put := func(ctx context.Context, i int, n uint64) error {
		fill(buf, n)
		_, err := e.Update(ctx, nil, func(tx engine.Tx) error { return tx.Put(rowKey(i), buf) })
		return err
	}
	old, err := e.Update(context.Background(), nil, func(tx engine.Tx) error { return tx.Put([]byte("a"), []byte("old")) })
	must(t, err)
	for i := range 20 {
		must(t, put(context.Background(), i, uint64(i)))
	}
	must(t, e.View(context.Background(), "", func(r engine.Reader) error {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		err := error(nil)
		for n := uint64(100); err == nil && n < 2000; n++ {
			err = put(ctx, int(n%20), n)
		}
		if !errors.Is(err, engine.ErrFull) && !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the view holds history, and writing gives: %v", err)
		}
		want := make([]byte, w.size)
		for i := range 20 {
			value, found, err := r.Get(rowKey(i))
			fill(want, uint64(i))
			if err != nil || !found || string(value) != string(want) {
				t.Fatalf("row %d in a view: %v, %d bytes of number %d, %v", i, found, len(value), binary.BigEndian.Uint64(append(value, make([]byte, 8)...)), err)
			}
		}
		return nil
	}))
	for n := uint64(5000); n < 6000; n++ {
		if err := put(context.Background(), int(n%20), n); err != nil {
			t.Fatalf("row %d, with %+v: %v", n, e.Metrics().Room, err)
		}
	}
	if err := e.View(context.Background(), old, func(engine.Reader) error { return nil }); !errors.Is(err, engine.ErrTooOld) {
		t.Errorf("an old version: %v", err)
	}
	if h, err := e.Horizon(context.Background(), engine.All); err != nil || h <= old {
		t.Errorf("horizon %x, %v", h, err)
	}
	must(t, check(e))
	must(t, e.Close())
	must(t, fs.Close())
}

// TestEndOfPebble: where Pebble gives up on a goroutine of its own, the store fails,
// the program goes on, and the store opens again.
func TestEndOfPebble(t *testing.T) {
	fs := vfs.NewMem()
	e, err := Open(fs, "store", Options{Memory: MinMemory})
	must(t, err)
	v, err := e.Update(context.Background(), nil, func(tx engine.Tx) error { return tx.Put([]byte("k"), []byte("v")) })
	must(t, err)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		pebbleLogger{e}.Fatalf("no room for the manifest")
		t.Error("Fatalf has returned")
	}()
	<-ended
	if _, err := e.Update(context.Background(), nil, func(tx engine.Tx) error { return nil }); !errors.Is(err, engine.ErrFatal) {
		t.Errorf("update: %v", err)
	}
	must(t, e.View(context.Background(), v, func(r engine.Reader) error {
		value, _, err := r.Get([]byte("k"))
		if string(value) != "v" {
			t.Errorf("read: %q, %v", value, err)
		}
		return err
	}))
	if err := e.Close(); !errors.Is(err, engine.ErrFatal) {
		t.Errorf("close: %v", err)
	}
	e, err = Open(fs, "store", Options{Memory: MinMemory})
	must(t, err)
	must(t, check(e))
	must(t, e.Close())
}

// TestBlobFails: a file of large values that a compaction cannot write makes the store
// fail, and not the program; nothing is lost.
func TestBlobFails(t *testing.T) {
	mem := vfs.NewMem()
	fs := &blobFS{FS: mem}
	e, err := Open(fs, "store", Options{Memory: MinMemory, NoBackground: true})
	must(t, err)
	value := make([]byte, 100<<10)
	for i := range 40 {
		fill(value, uint64(i))
		_, err := e.Update(context.Background(), nil, func(tx engine.Tx) error { return tx.Put(rowKey(i%20), value) })
		must(t, err)
	}
	must(t, e.db.Flush())
	for i := range 20 {
		_, err := e.Update(context.Background(), nil, func(tx engine.Tx) error { return tx.Delete(rowKey(i)) })
		must(t, err)
		if i%2 == 0 {
			fill(value, uint64(i))
			_, err = e.Update(context.Background(), nil, func(tx engine.Tx) error { return tx.Put(rowKey(i), value) })
			must(t, err)
		}
	}
	fs.failing.Store(true)
	ctx, cancel := context.WithCancel(context.Background())
	compacted := make(chan error, 1)
	go func() { compacted <- e.Compact(ctx) }() // it waits behind the fence, if there was a file to write
	for len(compacted) == 0 && e.failed() == nil {
		time.Sleep(time.Millisecond)
	}
	failed := e.failed() != nil
	cancel()
	<-compacted
	if closed := e.Close(); failed && !errors.Is(closed, engine.ErrFatal) {
		t.Errorf("close: %v", closed)
	}
	fs.failing.Store(false)
	e, err = Open(mem, "store", Options{Memory: MinMemory})
	must(t, err)
	must(t, e.View(context.Background(), "", func(r engine.Reader) error {
		for i := range 20 {
			got, found, err := r.Get(rowKey(i))
			fill(value, uint64(i))
			if err != nil || found != (i%2 == 0) || found && string(got) != string(value) {
				t.Errorf("row %d: found %v, %v", i, found, err)
			}
		}
		return nil
	}))
	must(t, check(e))
	must(t, e.Close())
	if !failed {
		t.Error("no file of large values was written")
	}
}

// blobFS does not sync files of large values.
type blobFS struct {
	vfs.FS
	failing atomic.Bool
}

func (f *blobFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	file, err := f.FS.Create(name, c)
	if err == nil && isBlob(name) {
		file = &blobFile{file, f}
	}
	return file, err
}

type blobFile struct {
	vfs.File
	fs *blobFS
}

func (b *blobFile) Sync() error {
	if b.fs.failing.Load() {
		return syscall.EIO
	}
	return b.File.Sync()
}

func (b *blobFile) SyncData() error { return b.Sync() }

// TestPolicy: the marks are in order, whatever the device.
func TestPolicy(t *testing.T) {
	for total := int64(16 << 20); total < 1<<44; total = total*3/2 + 7 {
		for _, memory := range []int{MinMemory, DefaultMemory, 1 << 30} {
			o := Options{Memory: memory}
			o.fill()
			fs := vfs.NewMem()
			opts := pebbleOptions(fs, &o)
			fit(opts, sized{fs, uint64(total)}, "store")
			p := newPolicy(total, o.History, opts)
			if !(0 < p.work && p.work < p.least && p.least < p.reserve && p.reserve < p.low && p.low < p.enough && p.enough < total) ||
				p.reserve > total/2 || p.piece <= 0 {
				t.Errorf("%d bytes: %+v", total, p)
			}
		}
	}
}

type sized struct {
	vfs.FS
	total uint64
}

func (s sized) GetDiskUsage(string) (vfs.DiskUsage, error) {
	return vfs.DiskUsage{TotalBytes: s.total}, nil
}

// TestAges: what is taken is about as much as was asked for, the oldest first.
func TestAges(t *testing.T) {
	var a ages
	a.reset(1000, 2000, 1<<20)
	for v := version(2001); v < 12001; v++ {
		a.add(v, 1000)
	}
	if n := a.total(); n != 1<<20+10_000_000 || len(a.list) > maxAges {
		t.Fatalf("%d bytes in %d ages", n, len(a.list))
	}
	if v := a.oldest(1 << 19); v < 1490 || v > 1510 {
		t.Errorf("half of what was there ends at %d", v)
	}
	if v := a.oldest(1<<20 + 5_000_000); v < 6800 || v > 7200 {
		t.Errorf("and half of what came: %d", v)
	}
	a.drop(7000)
	if n := a.total(); n < 4_800_000 || n > 5_200_000 {
		t.Errorf("%d bytes are left", n)
	}
	a.drop(20000)
	if n := a.total(); n != 0 {
		t.Errorf("%d bytes are left of nothing", n)
	}
}
