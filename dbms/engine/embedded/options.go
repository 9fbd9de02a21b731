package embedded

import (
	"runtime"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/objstorage/objstorageprovider"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/lsm"
)

// Options say how a store is opened. The zero value is sensible.
type Options struct {
	// Memory is the budget in bytes for cached blocks and rows, and for what is not
	// yet in tables; 0 is DefaultMemory, less than MinMemory is taken for that.
	Memory int

	// Retention is for how long superseded versions are kept where Retain did
	// not say otherwise. It is recorded when a store is made and of no effect
	// later. 0 is engine.DefaultRetention.
	Retention time.Duration

	// History is how much of the device superseded versions may take, in percent;
	// more than that goes before its time, the oldest first, and so does what is
	// in the way of new transactions (policy.go). 0 is DefaultHistory.
	History int

	// MaxValue is how many bytes a value may have that is written: engine.ValueLimit of
	// it. It may change from one opening to the next.
	MaxValue int

	// Now is the wall clock. It may jump. Nil is time.Now.
	Now func() time.Time

	// Log takes what the operator should know, such as a failing device. Nil
	// drops it.
	Log func(format string, args ...any)

	// CollectEvery is how often what is beyond retention is looked for in the
	// background; 0 is DefaultCollectEvery.
	CollectEvery time.Duration

	// NoBackground leaves out the goroutine that repairs after restores and
	// collects what is beyond retention: Collect does both.
	NoBackground bool

	// FlushAfter is for how long nothing must have been written before what is only
	// in the log and in memory is put into tables, so that the next opening has
	// nothing to replay. 0 is never: then it is done when memory is full.
	FlushAfter time.Duration

	// AcceptLoss opens a store whose newest transactions are lost to damage, which
	// is refused otherwise.
	AcceptLoss bool

	tune func(*pebble.Options) // tests make levels, tables and blocks small
}

const (
	// DefaultMemory suits a machine of 512 MB or more.
	DefaultMemory = 128 << 20

	// MinMemory is the least budget that works.
	MinMemory = 8 << 20

	// DefaultCollectEvery is short beside any retention, and long beside the look.
	DefaultCollectEvery = time.Minute

	memTableShare = 8 // of the budget; there may be memTables of them
	memTables     = 4
	blockSize     = 8 << 10
	bloomBits     = 10
	maxOpenFiles  = 500

	maxCompactions = 2 // at a time
)

func (o *Options) fill() {
	if o.Memory == 0 {
		o.Memory = DefaultMemory
	}
	o.Memory = max(o.Memory, MinMemory)
	if o.Retention == 0 {
		o.Retention = engine.DefaultRetention
	}
	o.Retention = max(o.Retention, engine.MinRetention)
	if o.History == 0 {
		o.History = DefaultHistory
	}
	o.History = min(max(o.History, 1), 100)
	o.MaxValue = engine.ValueLimit(o.MaxValue)
	if o.CollectEvery <= 0 {
		o.CollectEvery = DefaultCollectEvery
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = func(string, ...any) {}
	}
}

// pebbleOptions are those of the Pebble below. Half of the memory is for cached blocks and
// for up to four memtables, which Pebble takes from the cache; a quarter is for rows
// (rowcache.go), and a thirty-second for rows of history (pastcache.go). Bundles of history take
// a quarter of a memtable, and up to three while they come faster than they are unpacked.
func pebbleOptions(fs vfs.FS, o *Options) *pebble.Options {
	p := &pebble.Options{
		FS:                          fs,
		FormatMajorVersion:          pebble.FormatValueSeparation,
		CacheSize:                   int64(o.Memory / 2),
		MemTableSize:                uint64(min(max(o.Memory/memTableShare, lsm.MinMemTable), lsm.MaxMemTable)),
		MemTableStopWritesThreshold: memTables,
		L0CompactionThreshold:       2,
		L0StopWritesThreshold:       20,
		MaxOpenFiles:                maxOpenFiles,
		// blockfs has no descriptors to sync ranges of, so each would be a flush.
		BytesPerSync: 1 << 30,
	}
	// Scans announce what they are about to read. Only compactions open files to read
	// them from start to end, and so are known to the fence.
	p.Local.ReadaheadConfig = objstorageprovider.NewReadaheadConfig()
	p.Local.ReadaheadConfig.Set(objstorageprovider.FadviseSequential, objstorageprovider.SysReadahead)
	// Compactions never have all processors: who waits for the disk must get one
	// when that is done.
	p.CompactionConcurrencyRange = func() (int, int) { return 1, min(max(runtime.GOMAXPROCS(0)-1, 1), maxCompactions) }
	for i := range p.Levels {
		p.Levels[i].BlockSize = blockSize
		p.Levels[i].FilterPolicy = bloom.FilterPolicy(bloomBits)
	}
	p.Experimental.SpanPolicyFunc = new(apart).policy
	p.Experimental.ValueSeparationPolicy = separateValues
	// A table that is taken in by way of the queue of memtables is only put into its place by
	// reading others: on a device that cannot be read, no memtable behind it would ever go.
	p.Experimental.DisableIngestAsFlushable = func() bool { return true }
	p.BlockPropertyCollectors = []func() sstable.BlockPropertyCollector{spanMapper{}.collector}
	if o.tune != nil {
		o.tune(p)
	}
	return p
}

// separateValues has Pebble keep long values in files of their own, which compactions
// do not rewrite.
func separateValues() pebble.ValueSeparationPolicy {
	return pebble.ValueSeparationPolicy{
		Enabled:               true,
		MinimumSize:           separateFrom,
		MaxBlobReferenceDepth: referenceDepth,
		RewriteMinimumAge:     0,
		TargetGarbageRatio:    0.05,
	}
}

const (
	separateFrom = 8 << 10 // bytes of a value

	// referenceDepth is how many files the values of one stretch of keys may lie in
	// before a compaction gathers them, which writes them once more. Reading a long
	// value costs the same wherever it lies, so it is high.
	referenceDepth = 1000
)

// fit has p suit the device below a directory. A volume that cannot tell its size
// (vfs.NewMem, a directory that is yet to be made) is taken for a large one.
func fit(p *pebble.Options, fs vfs.FS, dir string) {
	if u, err := fs.GetDiskUsage(dir); err == nil {
		lsm.Fit(p, u.TotalBytes)
	}
}
