package isolation

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/txn"
)

const (
	accounts = 20
	deposit  = 100
	auditors = 2
)

func account(n int) []byte { return fmt.Appendf(nil, "account%02d", n) }

// ledger is what the bank's workers share.
type ledger struct {
	ctx context.Context
	db  *txn.DB

	mu       sync.Mutex
	versions []engine.Version
	bad      []string
	err      error
}

// bank moves money between accounts, by procedures and interactive transactions.
// Auditors add it up meanwhile, and in the end at every version that there was.
// Some accounts are closed and opened again: the sum must be right all the same.
func bank(e engine.Engine, size int, seed uint64) ([]string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	b := &ledger{ctx: ctx, db: txn.New(e)}
	v, err := b.db.Update(ctx, op, func(tx *txn.Tx) error {
		for n := range accounts {
			if err := tx.Put(account(n), []byte(strconv.Itoa(deposit))); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	b.versions = []engine.Version{v}
	var moving, auditing sync.WaitGroup
	var over atomic.Bool
	for w := range workers {
		moving.Go(func() {
			rng := rand.New(rand.NewPCG(seed, uint64(w)))
			for b.going(size) { // some move nothing, or find a conflict
				b.transfer(rng)
			}
		})
	}
	for w := range auditors {
		auditing.Go(func() {
			rng := rand.New(rand.NewPCG(seed, uint64(workers+w)))
			for n := 0; !over.Load(); n++ {
				at := engine.Version("")
				if n%2 == 0 {
					at = b.some(rng)
				}
				b.audit(at)
			}
		})
	}
	moving.Wait()
	over.Store(true)
	auditing.Wait()
	for _, v := range b.versions {
		b.audit(v)
	}
	return b.bad, b.err
}

// going tells whether there are to be more versions.
func (b *ledger) going(size int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.versions) < size && b.err == nil
}

func (b *ledger) some(rng *rand.Rand) engine.Version {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.versions[rng.IntN(len(b.versions))]
}

// transfer moves money once, or not at all if others were in the way.
func (b *ledger) transfer(rng *rand.Rand) {
	from, to, amount := rng.IntN(accounts), rng.IntN(accounts), rng.IntN(30)
	if from == to {
		return
	}
	var v engine.Version
	var err error
	if rng.IntN(2) == 0 {
		v, err = b.db.Update(b.ctx, op, func(tx *txn.Tx) error { return move(tx, from, to, amount) })
	} else if v, err = b.interactively(from, to, amount); errors.Is(err, engine.ErrConflict) {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if err != nil {
		b.err = errors.Join(b.err, err)
		return
	}
	b.versions = append(b.versions, v)
}

func (b *ledger) interactively(from, to, amount int) (engine.Version, error) {
	tx, err := b.db.Begin(b.ctx, op)
	if err != nil {
		return "", err
	}
	defer tx.Rollback()
	if err := move(tx, from, to, amount); err != nil {
		return "", err
	}
	if amount%4 == 0 {
		runtime.Gosched() // so that even fast transactions overlap
	}
	return tx.Commit(b.ctx)
}

// move transfers at most what there is. An account without money is closed.
func move(tx *txn.Tx, from, to, amount int) error {
	have, err := balance(tx, from)
	if err != nil {
		return err
	}
	has, err := balance(tx, to)
	if err != nil {
		return err
	}
	amount = min(amount, have)
	return errors.Join(set(tx, from, have-amount), set(tx, to, has+amount))
}

func balance(tx *txn.Tx, n int) (int, error) {
	value, found, err := tx.Get(account(n))
	if err != nil || !found {
		return 0, err
	}
	return strconv.Atoi(string(value))
}

func set(tx *txn.Tx, n, amount int) error {
	if amount == 0 {
		return tx.Delete(account(n))
	}
	return tx.Put(account(n), []byte(strconv.Itoa(amount)))
}

// audit adds up all accounts at a version.
func (b *ledger) audit(at engine.Version) {
	sum := 0
	err := b.db.ViewAt(b.ctx, at, func(tx *txn.Tx) error {
		c := tx.Scan(engine.All, engine.ScanOptions{})
		for c.Next() {
			n, err := strconv.Atoi(string(c.Value()))
			if err != nil {
				return errors.Join(err, c.Close())
			}
			sum += n
		}
		return errors.Join(c.Err(), c.Close())
	})
	b.mu.Lock()
	defer b.mu.Unlock()
	if err != nil {
		b.err = errors.Join(b.err, err)
	} else if sum != accounts*deposit {
		b.bad = append(b.bad, fmt.Sprintf("at %x the accounts hold %d instead of %d", at, sum, accounts*deposit))
	}
}
