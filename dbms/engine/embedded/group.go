package embedded

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// Transactions go to Pebble in groups: each adds what it has written to the open
// group, and the group becomes one batch of Pebble, one record of its log, and one
// version after which all of it is visible:
//
//	commit lock    transaction ──► transaction ──► transaction ──► ...
//	                    └───────┬───────┘               │
//	mu             open group   ▼                       ▼ next group
//	apply               one batch to Pebble, last
//	flush               one flush, then who waits for it goes on
//
// A group is closed by whoever needs what is in it, which is soon:
//
//   - Who waits for durability leads the group, if no flush is under way, and waits
//     for the flush of those before, if one is. So all who come meanwhile share the
//     next one.
//   - Every call but an Update first sees that what was committed before it is
//     applied (enterSettled), and so does a transaction that reads more than single
//     rows, or a row that is in the group and not in the cache.
//   - A transaction nobody waits for closes a group that is full, or in which there is
//     what a Watch waits for. A timer sees to the last of them.
//
// So that a group is not seen as such: an Update that is not waited for has taken
// effect when it returns, as every later call sees it.
type groups struct {
	newest atomicVersion // of all transactions; Engine.last is behind while a group is open

	mu   sync.Mutex // guards open, and the group it points to
	open *group

	spare []byte // for the bundle of the next group

	apply  sync.Mutex    // held while a group goes to Pebble: they go one after another
	flush  chan struct{} // has room for one: who waits for a flush
	shared int           // how many transactions were in the last one. Who has flush guards it.

	keys  keyFilter   // of what is not applied. The commit lock guards it.
	timer *time.Timer // applies what nobody has asked for
	armed atomic.Bool
}

// group is the transactions of one batch.
type group struct {
	batch   *pebble.Batch
	bundle  []byte   // what the transactions replace or delete (bundle.go)
	bundled []uint64 // hashes of its keys
	last    version  // of its newest transaction
	commits int
	final   *tx           // its last transaction, if publish must come with the group
	synced  chan struct{} // if somebody waits for its flush: closed after that
	applied bool          // guarded by apply

	hits []*waiter // who waits for something that is in it

	touched keyList // what was written, for the empty spans
	gone    []int   // of these, what was deleted
}

// Bounds of a group. What several transactions write at once into Pebble holds up
// others for as long as that takes.
const (
	groupCommits = 64
	groupBytes   = 64 << 10

	// applyAfter is for how long transactions that nobody has asked for stay in
	// memory only.
	applyAfter = time.Millisecond

	// gatherTurns is how often who leads a group steps back for others.
	gatherTurns = 4
)

func (gs *groups) init(e *Engine) {
	gs.flush = make(chan struct{}, 1)
	gs.timer = time.AfterFunc(time.Hour, func() {
		gs.armed.Store(false)
		if e.enterSettled() == nil {
			e.leave()
		}
	})
	gs.timer.Stop()
}

// enterSettled begins a method that sees all transactions committed before it.
func (e *Engine) enterSettled() error {
	if err := e.enter(); err != nil {
		return err
	}
	// If applying fails the store has failed: that is for writers to tell, and
	// what is there can be read.
	_ = e.applyOpen()
	return nil
}

// alone locks out transactions, and returns when all are applied. Who has it
// unlocks commit.
func (e *Engine) alone() {
	e.commit.Lock()
	_ = e.applyOpen() // who writes looks at failed
}

// pending tells whether there are transactions that are not applied.
func (e *Engine) pending() bool { return e.last.Load() != e.groups.newest.Load() }

// join puts t, which is sealed and has something to write, into the open group.
// The commit lock is held. In a group with a final transaction, it is the last.
func (e *Engine) join(t *tx, final bool) error {
	gs := &e.groups
	if !e.pending() {
		gs.keys.clear()
	}
	for i := range t.hashes {
		gs.keys.add(t.hashes[i])
	}
	gs.mu.Lock()
	for gs.open != nil && gs.open.size()+t.batch.Len()+len(t.bundle) > groupBytes {
		gs.mu.Unlock()
		if err := e.applyOpen(); err != nil {
			return err
		}
		gs.mu.Lock()
	}
	defer gs.mu.Unlock()
	g := gs.open
	if g == nil {
		g = &group{batch: t.batch}
		t.batch, gs.open = nil, g
	} else if err := g.batch.Apply(t.batch, nil); err != nil {
		return storage(err)
	}
	if len(t.bundle) > 0 {
		if len(g.bundle) == 0 {
			g.bundle = append(gs.spare[:0], bundleFormat)
			gs.spare = nil
		}
		g.bundle, g.bundled = append(g.bundle, t.bundle...), append(g.bundled, t.bundled...)
	}
	g.last = t.version
	g.commits++
	if final {
		g.final = t
	}
	if !t.op.NoWait {
		if g.synced == nil {
			g.synced = make(chan struct{})
		}
		t.group = g
	}
	g.touch(e, t)
	gs.newest.Store(t.version)
	if e.watchers.count.Load() > 0 { // after newest: see watchers
		g.hits = e.watchers.hit(g.hits, t)
	}
	t.due = g.commits >= groupCommits || g.size() >= groupBytes || len(g.hits) > 0
	return nil
}

// size is how many bytes a group has.
func (g *group) size() int { return g.batch.Len() + len(g.bundle) }

// touch notes what t has written, if there are empty spans. Those that come later
// are found in what Pebble shows then, and that is t's rows, too.
func (g *group) touch(e *Engine, t *tx) {
	if !e.empty.some.Load() {
		return
	}
	before := g.touched.len()
	for i := range t.keys.len() {
		g.touched.add(t.keys.at(i))
	}
	for _, i := range t.gone {
		g.gone = append(g.gone, before+i)
	}
}

// applyOpen closes the open group, and returns when it and all before it are
// visible, or the store has failed.
func (e *Engine) applyOpen() error {
	if !e.pending() {
		return nil
	}
	gs := &e.groups
	gs.apply.Lock()
	defer gs.apply.Unlock()
	gs.mu.Lock()
	g := gs.open
	gs.open = nil
	gs.mu.Unlock()
	if g == nil {
		return e.failed() // somebody else has applied it, or could not
	}
	return e.applyGroup(g)
}

// applyGroup makes a closed group visible, also if the store has failed meanwhile:
// behind its fence all is well for Pebble, and what was said to have taken effect
// is to be seen. The apply lock is held.
func (e *Engine) applyGroup(g *group) error {
	if e.broken.Load() {
		return e.failed()
	}
	e.started.Store(g.last)
	err := e.addBundle(g) // before what replaces its rows is seen
	if err == nil {
		err = e.guard(func() error { return e.write(g) })
	}
	if err != nil {
		e.broken.Store(true) // those after it must not go before it
		e.fail(err)
		return err
	}
	g.applied = true
	e.calm.wrote()
	if len(g.bundle) > 0 {
		gs := &e.groups
		gs.mu.Lock()
		gs.spare = g.bundle
		gs.mu.Unlock()
		g.bundle = nil
	}
	e.empty.wrote(&g.touched, g.gone, g.last)
	if g.final != nil {
		e.publish(g.final)
	}
	e.last.Store(g.last)
	if g.synced == nil {
		// It only goes back to Pebble's pool; what it did has been judged.
		_ = g.batch.Close()
	}
	if len(g.hits) > 0 {
		e.watchers.wake(g.hits, g.last)
	}
	return nil
}

// addBundle has what the group replaces wait to be unpacked, and puts it into the batch.
func (e *Engine) addBundle(g *group) error {
	if len(g.bundle) == 0 {
		return nil
	}
	if err := g.batch.Set(bundleKey(g.last), g.bundle, nil); err != nil {
		return storage(err)
	}
	enough, err := e.bundles.add(g.bundle, g.bundled, g.last)
	if enough {
		e.unpackSoon()
	}
	return err
}

func (e *Engine) write(g *group) error {
	if g.synced == nil {
		return e.db.Apply(g.batch, pebble.NoSync)
	}
	return e.db.ApplyNoSyncWait(g.batch, pebble.Sync)
}

// awaitFlush returns when g is durable, or never will be. One of those who wait
// for a flush sees to it.
func (e *Engine) awaitFlush(g *group) {
	gs := &e.groups
	select {
	case gs.flush <- struct{}{}: // no flush is under way
		defer gs.flushed()
		gs.gather(g, gs.shared)
		e.flushGroup(g)
		return
	default:
	}
	select {
	case <-g.synced:
	case gs.flush <- struct{}{}:
		defer gs.flushed()
		gs.mu.Lock()
		want := g.commits + gs.shared
		gs.mu.Unlock()
		gs.gather(g, want)
		e.flushGroup(g)
	}
}

func (gs *groups) flushed() { <-gs.flush }

// gather lets others run until so many have come to g, or it has stepped back often
// enough. Who has waited for a flush lets those come whom that has let go; who comes
// when none is under way expects as many as have shared the last one. Otherwise many
// clients would be in two halves that take turns, or in one and all others. A lone
// client does not step back: beside work that calculates, that may cost ten
// milliseconds.
func (gs *groups) gather(g *group, want int) {
	for range gatherTurns {
		gs.mu.Lock()
		enough := gs.open != g || g.commits >= want
		gs.mu.Unlock()
		if enough {
			return
		}
		runtime.Gosched()
	}
}

// flushGroup applies g if nobody else has, and waits for its flush.
func (e *Engine) flushGroup(g *group) {
	select {
	case <-g.synced: // somebody has come and gone meanwhile
		return
	default:
	}
	defer close(g.synced)
	gs := &e.groups
	begun := time.Now()
	gs.apply.Lock()
	gs.mu.Lock()
	open := gs.open == g
	if open {
		gs.open = nil
	}
	gs.mu.Unlock()
	if open {
		_ = e.applyGroup(g) // those who wait look at failed
	}
	applied := g.applied
	gs.apply.Unlock()
	gs.shared = g.commits
	if !applied {
		return
	}
	if err := g.batch.SyncWait(); err != nil {
		e.fail(err)
	}
	if e.failed() == nil {
		e.synced(g.last, begun)
	}
	_ = g.batch.Close()
}

// linger sees that the open group, for which nobody waits, is applied: at once if it is
// due.
func (e *Engine) linger(due bool) error {
	gs := &e.groups
	if due {
		return e.applyOpen()
	}
	if !gs.armed.Load() && e.pending() {
		gs.armed.Store(true)
		gs.timer.Reset(applyAfter)
	}
	return nil
}

// keyFilter tells for sure that a key is not in it, and only perhaps that it is.
type keyFilter struct {
	bits [filterBits / 64]uint64
	any  bool
}

const filterBits = 1 << 12 // for some hundred keys

func (f *keyFilter) clear() {
	if f.any {
		*f = keyFilter{}
	}
}

// add adds the key of a hash.
func (f *keyFilter) add(hash uint64) {
	h := hash % filterBits
	f.bits[h/64] |= 1 << (h % 64)
	f.any = true
}

func (f *keyFilter) mayHave(hash uint64) bool {
	h := hash % filterBits
	return f.bits[h/64]&(1<<(h%64)) != 0
}
