package table

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/tuplix/tuplix/dbms/blockdev/crash"
	"github.com/tuplix/tuplix/dbms/blockfs"
	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/engine/embedded"
	"github.com/tuplix/tuplix/dbms/engine/enginetest/model"
	"github.com/tuplix/tuplix/dbms/engine/postgres"
)

// randomStore is where TestRandom has its tables: the model of an engine, or the
// embedded one on a disk whose power goes out.
type randomStore struct {
	alone bool // say that nobody else uses it
	clock *randomClock
	disk  *crash.Device // nil: an engine in memory, which does not crash
	store *embedded.Engine
	fs    *blockfs.FS
	url   string // of a PostgreSQL server, in place of the others
}

// randomClock is set by the test; engines read it at any time.
type randomClock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *randomClock) Now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.now }

func (c *randomClock) advance(d time.Duration) { c.mu.Lock(); c.now = c.now.Add(d); c.mu.Unlock() }

const randomDisk = 24 << 20

func (r *randomRun) openStore(seed uint64) {
	r.alone = seed%2 == 0
	r.clock = &randomClock{now: time.UnixMicro(1_700_000_000_000_000)}
	if r.url != "" {
		r.openServer(fmt.Sprint("random ", seed))
		return
	}
	if seed%4 < 2 {
		r.disk = crash.New(randomDisk, 512)
		r.openDisk()
		r.Cleanup(r.closeDisk)
		return
	}
	r.openTables(model.New(r.clock.Now))
}

func (r *randomRun) openServer(schema string) {
	e, err := postgres.Open(r.Context(), r.url, postgres.Options{Schema: schema, CollectEvery: -1, Now: r.clock.Now, Log: r.Logf})
	if err != nil {
		r.Fatal(err)
	}
	r.Cleanup(func() {
		if err := e.Close(); err != nil {
			r.Error(err)
		}
	})
	r.alone = false
	r.openTables(e)
}

func (r *randomRun) openTables(e engine.Engine) {
	if r.alone {
		e = alone{e}
	}
	r.db = openOn(r, e)
	r.db.stepRows, r.ahead = r.stepRows, new(ahead)
}

func (r *randomRun) openDisk() {
	var err error
	if r.fs, err = blockfs.Open(r.disk, blockfs.Options{FormatBlank: true}); err != nil {
		r.Fatal(err)
	}
	r.store, err = embedded.Open(r.fs, "store", embedded.Options{
		Memory: embedded.MinMemory, Now: r.clock.Now, NoBackground: true, Retention: engine.MinRetention,
	})
	if err != nil {
		r.Fatal(err)
	}
	r.openTables(r.store)
}

func (r *randomRun) closeDisk() {
	if err := errors.Join(r.store.Close(), r.fs.Close()); err != nil && !errors.Is(err, pebble.ErrClosed) {
		r.Error(err)
	}
}

// op is on whose behalf the next transaction is; some do not wait to be durable.
func (r *randomRun) op() *engine.Op {
	return &engine.Op{Program: "test", NoWait: r.IntN(4) == 0}
}

// acknowledged notes that the newest transaction is durable.
func (r *randomRun) acknowledged() {
	if r.disk != nil && !r.disk.Cut() {
		r.durable = len(r.versions)
	}
}

// power sets the moment at which it goes out, and lets it come back.
func (r *randomRun) power() {
	switch {
	case r.disk == nil:
	case r.disk.Cut() && r.IntN(3) == 0:
		r.crash()
	case !r.dying && r.IntN(15) == 0:
		r.trace("the power goes out soon")
		r.dying = true
		r.disk.ForkAfter(r.IntN(1 << r.IntN(9)))
	}
}

// crash goes back to what was left on the disk at the moment of the cut: all
// transactions up to one, which is not before the last that was acknowledged.
func (r *randomRun) crash() {
	r.closeDisk()
	var err error
	if r.disk, err = r.disk.Crash(rand.New(rand.NewPCG(r.Uint64(), 2))); err != nil {
		r.Fatal(err)
	}
	r.dying = false
	r.openDisk()
	var newest engine.Version
	view(r, r.db, func(tx *Tx) error { newest = tx.Version(); return nil })
	left := 0
	for left < len(r.versions) && r.versions[left] <= newest {
		left++
	}
	r.trace("crash: %d of %d transactions are left, %d were acknowledged", left, len(r.versions), r.durable)
	after := func(n int) *modelStore { return append([]*modelStore{r.before}, r.past...)[n] }
	// Transactions that changed nothing are not made durable.
	if left < r.durable && !reflect.DeepEqual(after(left), after(r.durable)) {
		r.Fatalf("%d transactions are left of %d that were acknowledged", left, r.durable)
	}
	r.now = after(left).clone()
	r.versions, r.past, r.durable = r.versions[:left], r.past[:left], left
	r.crashes++
	for i := range r.versions {
		r.compare(r.versions[i], r.past[i])
	}
	r.check()
}

// retain lets time pass, and some of the time has what is beyond retention
// collected. What cannot be read any more is forgotten, but for one version: that
// must be read right, or not at all.
func (r *randomRun) retain() {
	r.clock.advance(time.Duration(r.IntN(20)-2) * time.Second)
	if r.IntN(12) != 0 || len(r.versions) == 0 || r.disk != nil && r.disk.Cut() {
		return
	}
	ctx, e := context.Background(), r.db.Engine()
	if r.IntN(3) == 0 {
		if err := e.Retain(ctx, testOp, r.someRange(), time.Duration(1+r.IntN(5))*time.Minute); err != nil {
			r.Fatalf("retain: %v", err)
		}
	}
	if err := e.Sync(ctx, ""); err != nil {
		r.Fatalf("sync: %v", err)
	}
	r.acknowledged()
	done, err := e.Collect(ctx)
	if err != nil {
		r.Fatalf("collect: %v", err)
	}
	horizon, err := e.Horizon(ctx, engine.All)
	if err != nil {
		r.Fatalf("horizon: %v", err)
	}
	gone := 0
	for gone < len(r.versions) && r.versions[gone] < horizon {
		gone++
	}
	r.trace("collected %+v; %d transactions of %d are too old", done, gone, len(r.versions))
	if gone == 0 {
		return
	}
	if i := r.IntN(gone); !errors.Is(r.compareAt(r.versions[i], r.past[i]), engine.ErrTooOld) {
		r.compare(r.versions[i], r.past[i])
	}
	r.before = r.past[gone-1]
	r.versions, r.past = r.versions[gone:], r.past[gone:]
	r.durable = max(0, r.durable-gone)
	r.collected += gone
}

// someRange is everything, or what a table has.
func (r *randomRun) someRange() engine.Range {
	out := engine.All
	view(r, r.db, func(tx *Tx) error {
		c, err := tx.catalog()
		for _, id := range slices.Sorted(maps.Keys(c.tables)) {
			if id >= firstTable && r.IntN(3) == 0 {
				out = c.tables[id].everything()
			}
		}
		return err
	})
	return out
}
