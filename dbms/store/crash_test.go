package store_test

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/tuplix/tuplix/dbms/blockdev/crash"
	"github.com/tuplix/tuplix/dbms/blockfs"
	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/store"
	"github.com/tuplix/tuplix/dbms/table"
)

var (
	crashSeed  = flag.Uint64("crash.seed", 0, "run this `seed` of TestCrash only")
	crashSeeds = flag.Int("crash.seeds", 12, "run `n` seeds of TestCrash")
)

// TestCrash cuts the power under the whole stack: device, blockfs, Pebble,
// transactions, tables. Several clients work at once, each on rows of its own,
// and each transaction also counts itself in a ledger. Afterwards every client's
// rows are those of just so many of its transactions as the ledger says, and
// these are at least those that were acknowledged.
func TestCrash(t *testing.T) {
	if *crashSeed != 0 {
		runCrash(t, *crashSeed)
		return
	}
	var failed atomic.Bool
	for i := range uint64(*crashSeeds) {
		t.Run(fmt.Sprint("seed=", i+1), func(t *testing.T) {
			t.Parallel()
			if failed.Load() {
				return // one is enough to look into
			}
			defer func() {
				if t.Failed() {
					failed.Store(true)
					t.Logf("run again with -crash.seed=%d", i+1)
				}
			}()
			runCrash(t, i+1)
		})
	}
}

const (
	crashClients = 3
	crashDisk    = 32 << 20
	crashTurns   = 3 // times that power comes back
)

// note is a row of a client.
type note struct {
	Client uint8  `table:"key"`
	Key    uint16 `table:"key"`
	Text   string
	Group  uint8
}

// ledger counts the transactions of a client.
type ledger struct {
	Client uint8 `table:"key"`
	Done   int
}

type crashTables struct {
	notes   *table.Table[note]
	byGroup *table.Index[note]
	ledgers *table.Table[ledger]
}

func declareCrash() crashTables {
	c := crashTables{notes: table.Declare[note]("note"), ledgers: table.Declare[ledger]("ledger")}
	c.byGroup = c.notes.Index("group", "group", "key desc")
	return c
}

// client has its rows after each of its transactions.
type client struct {
	id      uint8
	rand    *rand.Rand
	history []map[uint16]note      // after so many transactions
	version map[int]engine.Version // of those that returned
	acked   int                    // the last that was durable when it returned, or was asked to be
}

func newClients(seed uint64) []*client {
	clients := make([]*client, crashClients)
	for i := range clients {
		clients[i] = &client{
			id: uint8(i), rand: rand.New(rand.NewPCG(seed, uint64(i)+10)),
			history: []map[uint16]note{{}}, version: map[int]engine.Version{},
		}
	}
	return clients
}

func runCrash(t *testing.T, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 3))
	disk := crash.New(crashDisk, 512)
	clients := newClients(seed)
	for turn := range crashTurns {
		if r.IntN(4) > 0 || turn == 0 {
			disk.ForkAfter(r.IntN(400))
		}
		s, tables := openCrash(t, disk)
		verify(t, s, tables, clients)
		var wg sync.WaitGroup
		for _, c := range clients {
			n := r.IntN(40)
			wg.Go(func() { c.work(t, s, tables, disk, n, false) })
		}
		wg.Wait()
		check(t, s.Close())
		if t.Failed() {
			return
		}
		var err error
		disk, err = disk.Crash(r)
		check(t, err)
	}
	s, tables := openCrash(t, disk)
	verify(t, s, tables, clients)
	check(t, s.Close())
}

func openCrash(t *testing.T, disk *crash.Device) (*store.Store, crashTables) {
	t.Helper()
	volume, err := blockfs.Open(disk, blockfs.Options{FormatBlank: true})
	check(t, err)
	tables := declareCrash()
	return open(t, volume, tables.notes, tables.ledgers), tables
}

// work does n transactions. If tolerant, it stops at the first that fails, which
// then may have happened or not.
func (c *client) work(t *testing.T, s *store.Store, tables crashTables, disk *crash.Device, n int, tolerant bool) {
	for range n {
		before := c.history[len(c.history)-1]
		change, after := c.invent(before)
		number := len(c.history)
		noWait := c.rand.IntN(3) == 0
		v, err := s.Update(context.Background(), &engine.Op{
			ID: fmt.Sprintf("%d/%d", c.id, number), User: "client", Name: "change", NoWait: noWait,
		}, func(tx *table.Tx) error {
			if err := change(tx, tables); err != nil {
				return err
			}
			return tables.ledgers.Put(tx, &ledger{c.id, number})
		})
		c.history = append(c.history, after)
		if err != nil {
			if !tolerant {
				t.Errorf("client %d, transaction %d: %v", c.id, number, err)
			}
			return
		}
		c.version[number] = v
		if !noWait && !disk.Cut() {
			c.acked = number
		}
		if c.rand.IntN(4) == 0 {
			if err := s.Engine().Sync(context.Background(), v); err != nil {
				if !tolerant {
					t.Error(err)
				}
				return
			}
			if !disk.Cut() {
				c.acked = number
			}
		}
	}
}

// invent makes up a transaction, and what the client's rows are after it.
func (c *client) invent(before map[uint16]note) (change func(*table.Tx, crashTables) error, after map[uint16]note) {
	if to := c.rand.IntN(len(c.history)); c.rand.IntN(8) == 0 && c.version[to] != "" {
		v := c.version[to]
		return func(tx *table.Tx, tables crashTables) error {
			return tables.notes.Restore(tx, table.Prefix(c.id), v)
		}, c.history[to]
	}
	after = maps.Clone(before)
	var steps []func(*table.Tx, crashTables) error
	for range 1 + c.rand.IntN(6) {
		k := uint16(c.rand.IntN(30))
		if _, there := after[k]; there && c.rand.IntN(3) == 0 {
			delete(after, k)
			steps = append(steps, func(tx *table.Tx, tables crashTables) error { return tables.notes.Delete(tx, c.id, k) })
			continue
		}
		n := note{c.id, k, fmt.Sprint(c.rand.Uint64()), uint8(c.rand.IntN(5))}
		after[k] = n
		steps = append(steps, func(tx *table.Tx, tables crashTables) error { return tables.notes.Put(tx, &n) })
	}
	return func(tx *table.Tx, tables crashTables) error {
		for _, step := range steps {
			if err := step(tx, tables); err != nil {
				return err
			}
		}
		return nil
	}, after
}

// verify compares what is stored with what each client knows, by the rows and by
// the index, and forgets the transactions that were lost.
func verify(t *testing.T, s *store.Store, tables crashTables, clients []*client) {
	t.Helper()
	whole(t, s)
	check(t, s.View(t.Context(), func(tx *table.Tx) error {
		byIndex := map[uint8]int{}
		for n, err := range tables.byGroup.Scan(tx, table.Span{}) {
			check(t, err)
			byIndex[n.Client]++
		}
		for _, c := range clients {
			done := 0
			l, err := tables.ledgers.Get(tx, c.id)
			if err == nil {
				done = l.Done
			} else if c.acked > 0 {
				t.Fatalf("client %d: %d transactions were acknowledged, and now: %v", c.id, c.acked, err)
			}
			if done < c.acked || done >= len(c.history) {
				t.Fatalf("client %d: %d transactions are there, %d were acknowledged, %d begun", c.id, done, c.acked, len(c.history)-1)
			}
			got := map[uint16]note{}
			for n, err := range tables.notes.Scan(tx, table.Prefix(c.id)) {
				check(t, err)
				got[n.Key] = n
			}
			if !maps.Equal(got, c.history[done]) {
				t.Fatalf("client %d after %d transactions has\n%v, should have\n%v", c.id, done, sorted(got), sorted(c.history[done]))
			}
			if byIndex[c.id] != len(got) {
				t.Fatalf("client %d has %d rows and %d by the index", c.id, len(got), byIndex[c.id])
			}
			c.history, c.acked = c.history[:done+1], done
			maps.DeleteFunc(c.version, func(n int, _ engine.Version) bool { return n > done })
		}
		return nil
	}))
}

func sorted(m map[uint16]note) []note {
	return slices.SortedFunc(maps.Values(m), func(a, b note) int { return int(a.Key) - int(b.Key) })
}
