package embedded

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Open opens the store in a directory, and makes one where there is none. The
// file system is blockfs in an image and on a disk file, vfs.Default in a
// directory of the host, vfs.NewMem in tests.
//
// Errors: ErrFormat for what is not a store of this version, engine.ErrCorrupt
// for a damaged one, and those of the file system.
func Open(fs vfs.FS, dir string, opts Options) (*Engine, error) {
	opts.fill()
	e := &Engine{opts: opts, who: newWhoTable(), witness: witnessFile{fs, dir}}
	e.log.block.bytes = e.log.room[:0]
	e.background.init()
	e.groups.init(e)
	e.users.gone = make(chan struct{}, 1)
	e.rows.init(e.opts.Memory / cacheShare)
	e.guesses.init(e.opts.Memory)
	e.pasts.init(e.opts.Memory / pastShare)
	e.kept.e = e
	e.empty.steps = emptySteps
	e.fence = newFence(fs, e)
	p := pebbleOptions(e.fence, &e.opts)
	fit(p, fs, dir)
	p.Experimental.SpanPolicyFunc = e.apart.policy
	e.fence.longLog = 2 * int64(p.MemTableSize)
	e.bundles.init(p.MemTableSize)
	e.maker.init()
	e.room.fs, e.room.dir = fs, dir
	e.room.options = func(total int64) policy { return newPolicy(total, e.opts.History, p) }
	p.Logger = pebbleLogger{e}
	p.EventListener = e.listener()
	p.Comparer = e.walks.comparer()
	e.loads.init(p) // whose rows are not in Pebble yet
	p.BlockPropertyCollectors = []func() sstable.BlockPropertyCollector{spanMapper{e}.collector}
	err := e.checkTails(fs, dir)
	if err == nil {
		err = e.guard(func() (err error) {
			e.db, err = pebble.Open(dir, p)
			return err
		})
	}
	if err != nil {
		close(e.fence.closing)
		return nil, fmt.Errorf("open the store in %s: %w", dir, errors.Join(err, e.fence.unlock()))
	}
	if err = removeLoads(fs, dir); err == nil { // the directory is locked
		err = e.load()
	}
	if err == nil {
		err = e.testify(e.last.Load())
	}
	if err == nil {
		err = e.failed() // Pebble does not know
	}
	if err != nil {
		close(e.fence.closing)
		return nil, errors.Join(fmt.Errorf("open the store in %s: %w", dir, err), e.closeDB())
	}
	e.fence.open.Store(true)
	if !opts.NoBackground {
		e.background.start(e)
	}
	e.calm.start(e)
	return e, nil
}

// load brings what is kept in memory up to date with what is stored.
func (e *Engine) load() error {
	b, err := getMeta(e.db, metaFormat)
	if err != nil {
		return err
	}
	if b == nil {
		if err := e.create(); err != nil {
			return err
		}
	} else if e.born, err = parseFormat(b); err != nil {
		return err
	} else if err = e.renew(b); err != nil {
		return err
	}
	if err := errors.Join(e.who.load(e.db), e.hides.load(e.db), e.retention.load(e), e.loadCounts()); err != nil {
		return err
	}
	if err := e.loadBundles(); err != nil {
		return err
	}
	newest, err := e.loadLog()
	if err != nil {
		return err
	}
	newest = max(newest, e.born)
	if hides := e.hides.kept(); len(hides) > 0 {
		newest = max(newest, hides[len(hides)-1].until)
	}
	e.last.Store(newest)
	e.groups.newest.Store(newest)
	e.started.Store(newest)
	e.deleted.Store(newest)
	e.durable.Store(uint64(newest)) // it was read from the device
	e.window.reset(newest)
	e.ages.reset(e.retention.stretches().oldest(), newest, e.historySize())
	return nil
}

// create makes an empty store in an empty database.
func (e *Engine) create() error {
	it, err := e.db.NewIter(nil)
	if err != nil {
		return storage(err)
	}
	empty := !it.First()
	if err := it.Close(); err != nil {
		return storage(err)
	}
	if !empty {
		_, err := parseFormat(nil)
		return err
	}
	e.born = noVersion.after(e.opts.Now().UnixMicro())
	b := e.db.NewBatch()
	err = errors.Join(
		b.Set(metaKey(metaFormat), appendFormat(nil, e.born), nil),
		b.Set(metaKey(metaRetention), newRetention(e.opts.Retention, e.born).encode(), nil))
	if err == nil {
		err = e.guard(func() error { return e.db.Apply(b, pebble.Sync) })
		e.calm.wrote()
	}
	return err
}

// settleLog writes what is only in memory, before closing.
func (e *Engine) settleLog() error {
	if err := e.failed(); err != nil {
		return err
	}
	if err := e.writeBlock(); err != nil {
		return err
	}
	if err := e.unpack(); err != nil {
		return err
	}
	b := e.db.NewBatch()
	if err := saveCount(b, &e.counters.superseded); err != nil {
		return err
	}
	return e.guard(func() error { return e.db.Apply(b, pebble.Sync) })
}

// closeDB closes Pebble. Of a store that has failed it says so, whatever Pebble
// says. A Pebble of which a goroutine has ended where it must not waits for it for
// ever: it is left alone, behind the fence.
func (e *Engine) closeDB() error {
	e.kept.close()
	if e.lost.Load() {
		return e.fence.unlock()
	}
	err := e.guard(func() error { return e.db.Close() })
	if e.failed() != nil {
		return nil // settleLog has told
	}
	return err
}

// pebbleLogger passes on what the operator should know, and drops the chatter.
type pebbleLogger struct{ e *Engine }

func (pebbleLogger) Infof(string, ...any) {}

func (l pebbleLogger) Errorf(format string, args ...any) { l.e.opts.Log(format, args...) }

// Fatalf is Pebble's end of the road, and must not return. The store fails. A panic
// ends an operation of ours, which guard turns into an error. On a goroutine of
// Pebble's own nobody would catch it, so only that goroutine ends.
func (l pebbleLogger) Fatalf(format string, args ...any) {
	err := fmt.Errorf(format, args...)
	l.e.fail(err)
	if guarded() {
		panic(err)
	}
	l.e.lost.Store(true)
	runtime.Goexit()
}

// guarded tells whether the caller runs below guard.
func guarded() bool {
	pcs := make([]uintptr, 256)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(1, pcs)])
	for {
		f, more := frames.Next()
		if strings.HasSuffix(f.Function, ".(*Engine).guard") {
			return true
		}
		if !more {
			return false
		}
	}
}

// listener watches over Pebble's background work.
func (e *Engine) listener() *pebble.EventListener {
	return &pebble.EventListener{
		BackgroundError: e.backgroundError,
		CompactionBegin: func(pebble.CompactionInfo) { e.walks.begin() },
		CompactionEnd:   func(pebble.CompactionInfo) { e.walks.end(); e.kept.sweep() },
		FlushBegin:      func(pebble.FlushInfo) { e.walks.begin() },
		FlushEnd:        e.flushEnd,
		DataCorruption:  func(i pebble.DataCorruptionInfo) { e.opts.Log("store: damaged data: %v", i) },
		WriteStallBegin: func(pebble.WriteStallBeginInfo) { e.stallBegun() },
		WriteStallEnd:   func() { e.stalled.Store(false) },
	}
}

// stallBegun is called when Pebble holds a transaction up until a flush or a
// compaction is done. After a compaction has failed, Pebble leaves its tables alone
// for half a minute, and then looks for work only when something happens, which by
// then may be nothing: so something does.
func (e *Engine) stallBegun() {
	e.counters.stalls.Add(1)
	if e.stalled.Swap(true) || !e.poking.CompareAndSwap(false, true) {
		return
	}
	go func() {
		defer e.poking.Store(false)
		t := time.NewTicker(stallPoke)
		defer t.Stop()
		for range t.C {
			if !e.stalled.Load() {
				return
			}
			e.poke()
		}
	}()
}

const stallPoke = time.Second

// poke has Pebble look for compactions. It panics if Pebble was closed, which it may
// have been as soon as the stall was over.
func (e *Engine) poke() {
	defer func() { _ = recover() }()
	_ = e.db.NewSnapshot().Close() // of an empty batch of reads, nothing can fail
}

// flushEnd is told of each flush. Those that fail for want of room count, too: they
// have all that there is, and without them no transaction goes on.
func (e *Engine) flushEnd(i pebble.FlushInfo) {
	e.walks.end()
	e.kept.sweep()
	switch {
	case i.Err == nil:
		e.troubles.Store(0)
	case errors.Is(i.Err, syscall.ENOSPC):
		e.maker.failedForRoom(&e.maker.flushesFailed, maxFlushFailures)
		if e.troubles.Add(1) == maxTroubles {
			e.fail(i.Err)
		}
	}
}

// maxTroubles is how often in a row background work may fail. Pebble tries again
// at once, for ever.
const maxTroubles = 20

// backgroundError is told of each failure. A compaction for which there is no room
// may fail as often as it likes: it will be done when there is.
func (e *Engine) backgroundError(err error) {
	if errors.Is(err, syscall.ENOSPC) {
		e.maker.count.failed.Add(1)
		e.maker.failedForRoom(&e.maker.compactionsFailed, maxCompactionFailures)
		return
	}
	e.opts.Log("store: background work: %v", err)
	if e.troubles.Add(1) == maxTroubles {
		e.fail(err)
	}
}
