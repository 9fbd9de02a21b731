package blockfs

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/metamorphic"
	"github.com/cockroachdb/pebble/v2/vfs"
)

var (
	metaSeeds = flag.Uint64("meta.seeds", 8, "number of seeds of the metamorphic test")
	metaSeed  = flag.Uint64("meta.seed", 0, "run the metamorphic test with this seed only")
	metaOps   = flag.Uint64("meta.ops", 2000, "operations of each metamorphic test")
)

// TestMetamorphic runs Pebble's metamorphic test on blockfs, and on Pebble's own
// memory file system, with the same operations and options. Both must give the
// same answers. The harness crashes and restarts the database on the way: blockfs
// lives on a disk made of files in the harness's crashable file system.
func TestMetamorphic(t *testing.T) {
	from, to := uint64(1), max(1, *metaSeeds/raceShare)
	if *metaSeed != 0 {
		from, to = *metaSeed, *metaSeed
	}
	if testing.Short() {
		to = from
	}
	restarts := 0
	for seed := from; seed <= to; seed++ {
		option := &onBlockfs{}
		got := metamorphicRun(t, seed, option)
		want := metamorphicRun(t, seed)
		restarts += option.opened - 1
		for i := range min(len(got), len(want)) {
			if got[i] != want[i] {
				t.Fatalf("seed %d: got %q, want %q: go test -run TestMetamorphic -meta.seed=%d", seed, got[i], want[i], seed)
			}
		}
		if len(got) != len(want) {
			t.Fatalf("seed %d: %d results, want %d", seed, len(got), len(want))
		}
	}
	t.Logf("%d restarts after a crash", restarts)
}

// metamorphicRun returns the results, in the order of the operations.
func metamorphicRun(t *testing.T, seed uint64, option ...metamorphic.CustomOption) []string {
	t.Helper()
	rng := rand.New(rand.NewPCG(0, seed))
	kf := metamorphic.TestkeysKeyFormat
	opts := metamorphic.RandomOptions(rng, kf, metamorphic.RandomOptionsCfg{AlwaysStrictFS: true, NoWALFailover: true})
	ops := metamorphic.GenerateOps(rng, *metaOps, kf, metamorphic.DefaultOpConfig())
	opts.CustomOpts = option
	opts.Opts.BytesPerSync = max(opts.Opts.BytesPerSync, 64<<10)
	opts.Threads = 1
	var history bytes.Buffer
	test, err := metamorphic.New(ops, opts, "data", &history)
	must(t, err)
	if err := metamorphic.Execute(test); err != nil {
		t.Fatalf("seed %d: %v", seed, err)
	}
	var results []string
	for line := range strings.Lines(history.String()) {
		if !strings.HasPrefix(line, "//") {
			results = append(results, line)
		}
	}
	return results
}

// onBlockfs puts a blockfs between Pebble and the harness's file system.
type onBlockfs struct {
	fs     *FS
	dev    *chunks
	opened int
}

// stacked is the blockfs as the harness sees it: it unwraps to what is below.
type stacked struct {
	*FS
	below vfs.FS
}

func (s stacked) Unwrap() vfs.FS { return s.below }

func (*onBlockfs) Name() string { return "blockfs" }

func (*onBlockfs) Value() string { return "on" }

func (o *onBlockfs) Open(opts *pebble.Options) error {
	var err error
	if o.dev, err = openChunks(opts.FS); err != nil {
		return err
	}
	if _, err := Check(o.dev); err != nil && !errors.Is(err, ErrBlank) {
		return err
	}
	if o.fs, err = Open(o.dev, Options{FormatBlank: true}); err != nil {
		return err
	}
	o.opened++
	opts.FS = stacked{o.fs, opts.FS}
	return nil
}

func (o *onBlockfs) Close(*pebble.Options) error {
	if err := errors.Join(o.fs.Close(), o.fs.audit()); err != nil {
		return err
	}
	_, err := Check(o.dev)
	return err
}

const (
	chunkBytes = 64 << 10
	chunkDir   = "disk"
)

// chunks is a device of 256 MiB in many small files, because the harness's file
// system copies a whole file when it is synced.
type chunks struct {
	below vfs.FS
	dir   vfs.File

	mu    sync.Mutex
	files map[int64]vfs.File
	dirty map[int64]bool
	grown bool
}

func openChunks(below vfs.FS) (*chunks, error) {
	if err := below.MkdirAll(chunkDir, 0o755); err != nil {
		return nil, err
	}
	root, err := below.OpenDir("/")
	if err != nil {
		return nil, err
	}
	if err := errors.Join(root.Sync(), root.Close()); err != nil {
		return nil, err
	}
	c := &chunks{below: below, files: map[int64]vfs.File{}, dirty: map[int64]bool{}}
	if c.dir, err = below.OpenDir(chunkDir); err != nil {
		return nil, err
	}
	names, err := below.List(chunkDir)
	for _, name := range names {
		var n int64
		if _, err := fmt.Sscan(name, &n); err != nil {
			return nil, err
		}
		if c.files[n], err = below.OpenReadWrite(below.PathJoin(chunkDir, name), unspecified); err != nil {
			return nil, err
		}
	}
	return c, err
}

func (c *chunks) Size() int64                { return 256 << 20 }
func (c *chunks) SectorSize() int            { return 4096 }
func (c *chunks) Discard(off, n int64) error { return nil }

func (c *chunks) ReadAt(p []byte, off int64) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(p)
	for n := 0; n < len(p); {
		at := (off + int64(n)) % chunkBytes
		k := min(len(p)-n, int(chunkBytes-at))
		if f := c.files[(off+int64(n))/chunkBytes]; f != nil {
			if _, err := f.ReadAt(p[n:n+k], at); err != nil && err != io.EOF {
				return n, err
			}
		}
		n += k
	}
	return len(p), nil
}

func (c *chunks) WriteAt(p []byte, off int64) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for n := 0; n < len(p); {
		i, at := (off+int64(n))/chunkBytes, (off+int64(n))%chunkBytes
		k := min(len(p)-n, int(chunkBytes-at))
		if c.files[i] == nil {
			f, err := c.below.OpenReadWrite(c.below.PathJoin(chunkDir, fmt.Sprint(i)), unspecified)
			if err != nil {
				return n, err
			}
			c.files[i], c.grown = f, true
		}
		if _, err := c.files[i].WriteAt(p[n:n+k], at); err != nil {
			return n, err
		}
		c.dirty[i] = true
		n += k
	}
	return len(p), nil
}

// Flush syncs the dirty chunks one by one: the harness may crash in between.
func (c *chunks) Flush() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.grown {
		if err := c.dir.Sync(); err != nil {
			return err
		}
	}
	c.grown = false
	order := make([]int64, 0, len(c.dirty))
	for i := range c.dirty {
		order = append(order, i)
	}
	slices.Sort(order)
	for _, i := range order {
		if err := c.files[i].Sync(); err != nil {
			return err
		}
	}
	clear(c.dirty)
	return nil
}
