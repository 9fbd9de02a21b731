package isolation

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"time"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/engine/enginetest/history"
	"github.com/tuplix/tuplix/dbms/txn"
)

// patience is how long a workload may take.
const patience = 2 * time.Minute

// recorder runs transactions and records them.
type recorder struct {
	ctx   context.Context
	db    *txn.DB
	begun time.Time

	mu       sync.Mutex
	txns     []history.Txn
	versions []engine.Version // of the committed
	err      error
}

// errAbort is what a transaction fails with by its own will.
var errAbort = errors.New("aborted by the workload")

// action is what a transaction does. It may be run several times.
type action func(l *log) error

// log is a transaction under way, with what it has done so far. It lets others
// run before each read, so that even fast transactions overlap.
type log struct {
	tx  *txn.Tx
	ops []history.Op
}

func (l *log) get(key string) (value string, found bool, err error) {
	runtime.Gosched()
	b, found, err := l.tx.Get([]byte(key))
	value = string(b)
	l.ops = append(l.ops, history.Op{Key: key, Value: value, Found: found})
	return value, found, err
}

func (l *log) put(key, value string) error {
	l.ops = append(l.ops, history.Op{Write: true, Key: key, Value: value, Found: true})
	return l.tx.Put([]byte(key), []byte(value))
}

func (l *log) delete(key string) error {
	l.ops = append(l.ops, history.Op{Write: true, Key: key})
	return l.tx.Delete([]byte(key))
}

// scan reads a range, in a random direction.
func (l *log) scan(low, high string, reverse bool) error {
	runtime.Gosched()
	op := history.Op{Range: true, Low: low, High: high}
	r := engine.Range{Low: []byte(low), High: []byte(high)}
	c := l.tx.Scan(r, engine.ScanOptions{Reverse: reverse})
	for c.Next() {
		op.Pairs = append(op.Pairs, history.Pair{Key: string(c.Key()), Value: string(c.Value())})
	}
	l.ops = append(l.ops, op)
	return errors.Join(c.Err(), c.Close())
}

func (r *recorder) now() int64 { return int64(time.Since(r.begun)) }

// add records a transaction that has ended with err.
func (r *recorder) add(x history.Txn, v engine.Version, err error) {
	x.End, x.Version = r.now(), string(v)
	switch {
	case err == nil:
	case errors.Is(err, engine.ErrConflict), errors.Is(err, errAbort):
		x.Outcome, x.Version = history.Aborted, ""
	case errors.Is(err, engine.ErrUnknown):
		x.Outcome, x.Version = history.Unknown, ""
	default:
		r.fail(fmt.Errorf("%s: %w", x.Name, err))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.txns = append(r.txns, x)
	if err == nil && !x.ReadOnly {
		r.versions = append(r.versions, v)
	}
}

func (r *recorder) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.err = errors.Join(r.err, err)
}

func (r *recorder) failed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err != nil
}

var op = &engine.Op{User: "isolation", NoWait: true}

// procedure runs an action at the commit point.
func (r *recorder) procedure(do action) {
	x := history.Txn{Name: "procedure", Start: r.now()}
	v, err := r.db.Update(r.ctx, op, func(tx *txn.Tx) error {
		l := &log{tx: tx}
		err := do(l)
		x.Ops = l.ops
		return err
	})
	r.add(x, v, err)
}

// interactive runs an action on a snapshot, to be validated. If it is refused,
// what it has read must still have been a state of the store.
func (r *recorder) interactive(do action) {
	x := history.Txn{Name: "interactive", Start: r.now()}
	tx, err := r.db.Begin(r.ctx, op)
	if err != nil {
		r.fail(err)
		return
	}
	defer tx.Rollback()
	base := tx.Version()
	l := &log{tx: tx}
	err = do(l)
	x.Ops = l.ops
	v := base
	if err == nil {
		v, err = tx.Commit(r.ctx)
	}
	if err != nil {
		seen := history.Txn{Name: "refused", Start: x.Start, ReadOnly: true, Ops: readsOf(x.Ops)}
		r.add(seen, base, nil)
	}
	x.ReadOnly = len(readsOf(x.Ops)) == len(x.Ops)
	r.add(x, v, err)
}

// readsOf are the reads before the first write, which are of others.
func readsOf(ops []history.Op) []history.Op {
	for i, o := range ops {
		if o.Write {
			return ops[:i]
		}
	}
	return ops
}

// view runs an action that only reads; at a version, or at the newest.
func (r *recorder) view(at engine.Version, do action) {
	x := history.Txn{Name: "view", Start: r.now(), ReadOnly: true, Past: at != ""}
	var v engine.Version
	err := r.db.ViewAt(r.ctx, at, func(tx *txn.Tx) error {
		l := &log{tx: tx}
		v = tx.Version()
		err := do(l)
		x.Ops = l.ops
		return err
	})
	r.add(x, v, err)
}

// past returns the version of some transaction that was committed.
func (r *recorder) past(rng *rand.Rand) engine.Version {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.versions) == 0 {
		return ""
	}
	return r.versions[rng.IntN(len(r.versions))]
}

// record runs about size transactions on an engine. Change makes an action of
// transaction n that may write, look one that only reads.
func record(e engine.Engine, size int, seed uint64, change, look func(n int, rng *rand.Rand) action) (*recorder, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	r := &recorder{ctx: ctx, db: txn.New(e), begun: time.Now()}
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(seed, uint64(w)))
			for n := w; n < size && !r.failed(); n += workers {
				switch k := rng.IntN(100); {
				case k < 45:
					r.procedure(change(n, rng))
				case k < 75:
					r.interactive(change(n, rng))
				case k < 80:
					r.interactive(look(n, rng))
				case k < 90:
					r.view("", look(n, rng))
				default:
					r.view(r.past(rng), look(n, rng))
				}
			}
		})
	}
	wg.Wait()
	return r, r.err
}
