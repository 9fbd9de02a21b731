package embedded

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/cockroachdb/pebble/v2"

	"github.com/tuplix/tuplix/dbms/engine"
)

// Transactions run one after another, on their callers' goroutines:
//
//	lock commit
//	  next version             clock, or one more than the last
//	  fn                       reads the newest state, fills a batch
//	  record of the commit     into the batch: on a row, or as a trace
//	  join                     the batch goes into the open group (group.go)
//	unlock
//	apply the group            it is visible; readers go by last
//	wait for the flush         which the transactions of the group share
//
// A transaction that wrote nothing and has no ID is not written down by itself:
// its record goes out with those of others, and nobody waits for it. What it has
// read must be durable, though, before it returns.

var noOp engine.Op

// Update runs fn as a transaction, alone.
func (e *Engine) Update(ctx context.Context, op *engine.Op, fn func(engine.Tx) error) (engine.Version, error) {
	if op == nil {
		op = &noOp
	}
	if err := checkOp(op); err != nil {
		return "", err
	}
	if err := e.enter(); err != nil {
		return "", err
	}
	defer e.leave()
	t := e.newTx(op)
	for err := e.execute(ctx, t, fn); err != nil; err = e.execute(ctx, t, fn) {
		e.freeTx(t)
		if err = e.await(ctx, err); err != nil {
			if errors.Is(err, engine.ErrConflict) {
				e.counters.conflicts.Add(1)
			}
			return "", err
		}
		t = e.newTx(op)
	}
	v := t.version
	if len(t.restores) > 0 {
		e.background.wake()
	}
	for _, o := range t.observed {
		o.Committed()
	}
	err := e.settle(t)
	e.freeTx(t)
	if err != nil {
		return "", err
	}
	return v.external(), nil
}

// execute runs fn, makes its effects visible and tells those who follow them.
func (e *Engine) execute(ctx context.Context, t *tx, fn func(engine.Tx) error) error {
	e.commit.Lock()
	defer e.commit.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := e.failed(); err != nil {
		return err
	}
	if t.op.ID != "" {
		if err := e.applyOpen(); err != nil {
			return err
		}
		v, done, err := e.operation(t.op.ID)
		if err != nil {
			return err
		}
		if done {
			e.counters.replays.Add(1)
			t.version, t.replayed = v, true
			return nil
		}
	}
	now := e.opts.Now().UnixMicro()
	t.begin(e.groups.newest.Load().after(now), now)
	if err := e.attempt(ctx, t, fn); err != nil {
		e.owed.shown(e.groups.newest.Load(), &e.durable) // fn knows what it has read
		return err
	}
	e.observers.show(t)
	return nil
}

// attempt runs fn and makes its effects visible.
func (e *Engine) attempt(ctx context.Context, t *tx, fn func(engine.Tx) error) error {
	if err := fn(t); err != nil {
		return err
	}
	if t.err != nil {
		return t.err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if t.retain == nil {
		if err := e.take(t.batch.Len()+len(t.bundle)+int(t.size), t.grown > 0 && !t.op.Claimed); err != nil {
			return err
		}
	}
	return e.apply(t)
}

// apply commits what t has written. The commit lock is held.
func (e *Engine) apply(t *tx) error {
	t.seal()
	if t.batch.Empty() {
		if err := e.applyOpen(); err != nil {
			return err
		}
		t.after = e.started.Load()
		if t.op.NoWait {
			e.owed.shown(t.after, &e.durable)
		}
		e.publish(t)
		e.groups.newest.Store(t.version)
		e.last.Store(t.version)
		return nil
	}
	e.owed.committed(t, &e.durable)
	if t.deletes {
		e.deleted.Store(t.version)
	}
	if t.wroteBlock || len(t.restores) > 0 || t.retain != nil {
		if err := e.join(t, true); err != nil {
			return err
		}
		return e.applyOpen()
	}
	e.publish(t) // before anybody can apply it
	return e.join(t, false)
}

// publish shows the transaction to whoever must know: those after it, and readers
// once Engine.last has come to its version. What it has changed but rows must not
// show before the rows do: such a transaction is the last of its group, and is
// published with it.
func (e *Engine) publish(t *tx) {
	if t.newWho != 0 {
		e.who.add(t.newWho, t.author.who)
	}
	e.recent.Lock()
	if !e.bare {
		e.log.committed(t)
	}
	e.window.add(t)
	e.recent.Unlock()
	e.rows.wrote(t)
	if len(t.restores) > 0 {
		e.loads.under.hide(t.restores) // before the repair knows of them
		e.hides.add(t.restores)
	}
	if t.retain != nil {
		e.retention.set(t.retain)
	}
	if t.ended > 0 {
		e.ages.add(t.version, t.ended)
	}
	if (t.ended > 0 || t.deletes) && !e.maker.garbage.Load() {
		e.maker.garbage.Store(true)
	}
	e.counters.committed(t)
}

// settle waits, where that is wanted, until t is durable.
func (e *Engine) settle(t *tx) error {
	switch {
	case t.replayed && !t.op.NoWait:
		return e.sync(t.version)
	case t.replayed:
		e.owed.owing.raise(t.version)
	case t.group != nil:
		e.awaitFlush(t.group)
		if err := e.failed(); err != nil {
			return fmt.Errorf("%w: %w", engine.ErrUnknown, err)
		}
		return nil
	}
	if !t.op.NoWait {
		return e.sync(t.after)
	}
	return e.linger(t.due)
}

// operation looks for the operation of an ID.
func (e *Engine) operation(id string) (v version, done bool, err error) {
	var b [1 + engine.MaxOpField]byte
	value, closer, err := e.db.Get(opKey(b[:0], id))
	if errors.Is(err, pebble.ErrNotFound) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, storage(err)
	}
	if len(value) != versionSize {
		err = corrupt(fmt.Sprintf("operation %q", id), errCommit)
	} else {
		v = readVersion(value)
	}
	return v, err == nil, errors.Join(err, closer.Close())
}

// Resolve tells whether an operation has taken effect.
func (e *Engine) Resolve(ctx context.Context, id string) (engine.Version, bool, error) {
	if err := e.enterSettled(); err != nil {
		return "", false, err
	}
	defer e.leave()
	if err := ctx.Err(); err != nil {
		return "", false, err
	}
	if id == "" || len(id) > engine.MaxOpField {
		return "", false, nil
	}
	v, done, err := e.operation(id)
	if err == nil && !done && strings.HasPrefix(id, chosenPrefix) {
		v, done, err = e.chosenOperation(id)
	}
	if err != nil || !done {
		return "", false, err
	}
	e.owed.shown(v, &e.durable)
	return v.external(), true, nil
}

func checkOp(op *engine.Op) error {
	longest := max(len(op.ID), len(op.User), len(op.Program), len(op.Task), len(op.Name))
	if longest > engine.MaxOpField {
		return &engine.LimitError{What: "bytes of a text of an operation", Size: int64(longest), Limit: engine.MaxOpField}
	}
	return nil
}
