package embedded

import (
	"sync/atomic"
	"time"

	"github.com/tuplix/tuplix/dbms/engine"
)

// counters count since the store was opened, but for superseded.
type counters struct {
	commits, replays      atomic.Int64
	conflicts             atomic.Int64
	syncs, syncTime       atomic.Int64 // time in nanoseconds
	keysRead, keysWritten atomic.Int64
	superseded            atomic.Int64
	versions, records     atomic.Int64 // collected
	bytes                 atomic.Int64 // of both
	stalls                atomic.Int64
}

func (c *counters) committed(t *tx) {
	c.commits.Add(1)
	if n := t.keys.len(); n > 0 {
		c.keysWritten.Add(int64(n))
	}
	if t.superseded > 0 {
		c.superseded.Add(int64(t.superseded))
	}
}

func (c *counters) collect(d engine.Collected) {
	c.versions.Add(d.Versions)
	c.records.Add(d.Commits)
	c.bytes.Add(d.Bytes)
}

// Metrics returns the counters. Conflicts are those that the functions of transactions
// have found (ErrConflict): the transactions themselves run one after another.
func (e *Engine) Metrics() engine.Metrics {
	c := &e.counters
	m := engine.Metrics{
		Commits:     c.commits.Load(),
		Replays:     c.replays.Load(),
		Conflicts:   c.conflicts.Load(),
		Syncs:       c.syncs.Load(),
		SyncTime:    time.Duration(c.syncTime.Load()),
		KeysRead:    c.keysRead.Load(),
		KeysWritten: c.keysWritten.Load(),
		Watchers:    e.watchers.count.Load(),
		Wakeups:     e.watchers.woken.Load(),
		Superseded:  max(c.superseded.Load(), 0),
		Collected:   engine.Collected{Versions: c.versions.Load(), Commits: c.records.Load(), Bytes: c.bytes.Load()},
		Restores:    int64(len(e.hides.unrepaired())),
		WriteStalls: c.stalls.Load(),
	}
	if begun := e.readers.oldest(); begun != 0 {
		m.OldestReader = time.Since(time.Unix(0, begun))
	}
	if e.enter() == nil {
		defer e.leave()
		e.pebbleMetrics(&m)
		m.Room = e.roomMetrics()
	}
	return m
}

// roomMetrics tells how much room there is, and what was done for it.
func (e *Engine) roomMetrics() engine.Room {
	free, p := e.room.free()
	if p == &endless {
		return engine.Room{}
	}
	c := &e.maker.count
	return engine.Room{
		Total: p.total, Free: free, Reserve: p.reserve, Early: p.low,
		History: e.historySize(), HistoryLimit: p.history,
		HistorySpan: max(e.last.Load().time().Sub(e.retention.stretches().horizon(engine.All).time()), 0),
		Collected:   c.early.Load(), Passes: c.passes.Load(),
		Waits: c.waits.Load(), WaitTime: time.Duration(c.waited.Load()), Refused: c.refusals.Load(), Failed: c.failed.Load(),
	}
}

// pebbleMetrics adds what Pebble counts.
func (e *Engine) pebbleMetrics(m *engine.Metrics) {
	p := e.db.Metrics()
	m.CacheHits, m.CacheMisses = p.BlockCache.Hits, p.BlockCache.Misses
	m.Compactions = p.Compact.Count
	m.DeviceBytes = int64(p.DiskSpaceUsage())
	m.LogBytes = int64(p.WAL.BytesWritten)
	for i := range p.Levels {
		m.LevelFiles = append(m.LevelFiles, p.Levels[i].TablesCount)
		m.LevelBytes = append(m.LevelBytes, p.Levels[i].TablesSize)
	}
}
