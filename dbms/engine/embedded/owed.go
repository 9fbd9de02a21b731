package embedded

import (
	"sync/atomic"

	"github.com/tuplix/tuplix/dbms/engine"
)

// owed is what somebody may tell the outside of (external synchrony, as in Nightingale
// and others, Rethink the Sync, OSDI 2006): output waits for it instead of the program.
// Transactions are visible before they are durable. Who waits for his own tells of it
// afterwards, so only two things are owed: what nobody waits for, and what others have
// seen while it is waited for.
type owed struct {
	told  atomicVersion // the newest transaction that is waited for, but Untold ones
	owing atomicVersion // the newest version that is owed, or was
}

// committed notes a transaction that has written something, before anybody can see it.
// The commit lock is held.
func (o *owed) committed(t *tx, durable *atomic.Uint64) {
	switch {
	case t.op.Untold:
		if t.op.NoWait {
			o.shown(t.version, durable) // its function may have read more than its own
		}
	case t.op.NoWait:
		o.owing.raise(t.version)
	default:
		o.told.Store(t.version)
	}
}

// shown notes that somebody outside of the transactions sees the state at v.
func (o *owed) shown(v version, durable *atomic.Uint64) {
	if told := o.told.Load(); uint64(told) > durable.Load() {
		o.owing.raise(min(v, told))
	}
}

// Owed returns the newest version that is owed and not durable.
func (e *Engine) Owed() engine.Version {
	if v := e.owed.owing.Load(); uint64(v) > e.durable.Load() {
		return v.external()
	}
	return ""
}
