package embedded

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/lsm"
)

// Engine is a store in a Pebble database. It satisfies engine.Engine.
//
// Locks, in the order in which they may be taken: commit, bundles.turn, groups.apply,
// groups.mu, bundles.mu, recent, who.mu, watchers.mu. Readers take none but recent, for the
// newest commits, and bundles.mu for a moment; who needs history in its order takes
// bundles.turn and groups.apply. A view begins by applying what is committed.
type Engine struct {
	db   *pebble.DB
	opts Options
	born version // the store's first; older ones do not exist

	// Of the versions, from old to new: what of readers' versions is durable,
	// published, and perhaps already visible in Pebble.
	durable atomic.Uint64
	last    atomicVersion
	started atomicVersion
	owed    owed

	// deleted is the newest version that may have made a key disappear: a key
	// that is not there has been absent at least since then.
	deleted atomicVersion

	commit     sync.Mutex // held by the one transaction that runs
	syncing    sync.Mutex // held by who flushes what is applied already
	groups     groups     // of transactions on their way to Pebble
	bare       bool       // benchmarks measure what provenance costs by leaving it out
	recent     sync.Mutex // guards log and window, which each transaction changes at once
	log        commitLog
	window     window
	who        *whoTable
	hides      hideList
	retention  retention
	gaps       gaps
	walks      walks
	empty      emptySpans
	watchers   watchers
	observers  observers
	counters   counters
	transacted sync.Pool // of *tx
	readers    readerPool
	rows       rowCache
	kept       keptIters
	guesses    guesses
	pasts      pastCache
	bundles    bundles

	fence      *fence
	apart      apart
	loads      loads
	room       room
	maker      maker
	compactor  lsm.Compactor
	ages       ages
	claimed    atomicVersion // history up to it is going early
	troubles   atomic.Int64  // failures of background work since the last success
	background background
	calm       calm
	failure    atomic.Pointer[error] // why no more transactions are taken
	broken     atomic.Bool           // Pebble has given up: a write might never return
	stalled    atomic.Bool           // a transaction waits within Pebble
	poking     atomic.Bool           // somebody looks after that
	lost       atomic.Bool           // a goroutine of Pebble's has ended, see closeDB
	users      users

	witness witnessFile
}

type atomicVersion struct{ n atomic.Uint64 }

func (a *atomicVersion) Load() version   { return version(a.n.Load()) }
func (a *atomicVersion) Store(v version) { a.n.Store(uint64(v)) }

// raise stores v unless there is a later version.
func (a *atomicVersion) raise(v version) {
	for old := a.n.Load(); old < uint64(v) && !a.n.CompareAndSwap(old, uint64(v)); {
		old = a.n.Load()
	}
}

var _ engine.Engine = (*Engine)(nil)

// corrupt names the place of damage.
func corrupt(where string, err error) error {
	return fmt.Errorf("%w: %s: %w", engine.ErrCorrupt, where, err)
}

// corruptKey is corrupt for a key of the user, of which a part is shown.
func corruptKey(key []byte, err error) error {
	if len(key) > shownKey {
		return corrupt(fmt.Sprintf("key %q and %d bytes more", key[:shownKey], len(key)-shownKey), err)
	}
	return corrupt(fmt.Sprintf("key %q", key), err)
}

const shownKey = 100

// storage translates an error of Pebble.
func storage(err error) error {
	switch {
	case err == nil:
		return nil
	case pebble.IsCorruptionError(err):
		return fmt.Errorf("%w: %w", engine.ErrCorrupt, err)
	case errors.Is(err, pebble.ErrClosed):
		return engine.ErrClosed
	}
	return err
}

// fail ends all writing, for a reason that the operator must know.
func (e *Engine) fail(why error) {
	err := fmt.Errorf("%w: %w", engine.ErrFatal, why)
	if e.failure.CompareAndSwap(nil, &err) {
		e.opts.Log("store: no more transactions until it is opened again: %v", why)
		e.maker.freed()
	}
}

// failed is the reason for which no transactions are taken, nil if they are.
func (e *Engine) failed() error {
	if p := e.failure.Load(); p != nil {
		return *p
	}
	return nil
}

// MaxValue is how many bytes a value may have that is written.
func (e *Engine) MaxValue() int { return e.opts.MaxValue }

// Sync waits until everything up to v is durable.
func (e *Engine) Sync(ctx context.Context, v engine.Version) error {
	if err := e.enter(); err != nil {
		return err
	}
	defer e.leave()
	if err := e.applyOpen(); err != nil {
		return err
	}
	want := e.last.Load()
	if v != "" {
		var err error
		if want, err = e.internal(v); err != nil {
			return err
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return e.sync(want)
}

// sync makes the log durable up to v, which has been published. Of those who wait at
// once the first flushes, and then one of those who came meanwhile, for all of them: each
// flush is an entry of the log, and a place in Pebble's queues.
func (e *Engine) sync(v version) error {
	if e.isDurable(v) {
		return nil
	}
	e.syncing.Lock()
	defer e.syncing.Unlock()
	if e.isDurable(v) {
		return nil
	}
	if err := e.failed(); err != nil {
		return err
	}
	upTo := e.last.Load()
	begun := time.Now()
	if err := e.guard(func() error { return e.db.LogData(nil, pebble.Sync) }); err != nil {
		return err
	}
	e.synced(upTo, begun)
	return e.failed()
}

// isDurable tells whether the log is durable up to v. Transactions after the last that
// wrote something have nothing to be flushed.
func (e *Engine) isDurable(v version) bool {
	return version(e.durable.Load()) >= min(v, e.started.Load())
}

// synced notes that a flush which began after v was published has succeeded.
func (e *Engine) synced(v version, begun time.Time) {
	e.counters.syncs.Add(1)
	e.counters.syncTime.Add(int64(time.Since(begun)))
	for old := e.durable.Load(); old < uint64(v); old = e.durable.Load() {
		if e.failure.Load() != nil || e.durable.CompareAndSwap(old, uint64(v)) {
			return
		}
	}
}

// guard runs a write to Pebble. Where Pebble gives up with a panic, the store has
// failed, not the program.
func (e *Engine) guard(write func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			e.broken.Store(true)
			e.fail(fmt.Errorf("write: %v", p))
			err = e.failed()
		}
	}()
	return storage(write())
}

// Close ends the store. It waits for transactions and views under way.
func (e *Engine) Close() error {
	if !e.users.close() {
		return engine.ErrClosed
	}
	close(e.fence.closing)
	e.background.stop()
	e.maker.stop()
	e.watchers.close()
	e.users.wait()
	e.groups.timer.Stop()
	e.calm.stop()
	_ = e.applyOpen() // settleLog tells
	e.bundles.jobs.Wait()
	return errors.Join(e.settleLog(), e.leaveWitness(), e.closeDB())
}
