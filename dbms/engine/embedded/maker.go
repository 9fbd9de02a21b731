package embedded

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// maker runs the passes that make room on the device (pass.go), one after another,
// as long as they help: when policy says that history is to go early, and when a
// transaction waits for room.
//
//	free < low      early ─┐
//	a transaction          ├─► pass ─► pass ─► ... until there is room, or a pass
//	does not fit      ask ─┘    │              was in vain
//	                            └─► changed: those who wait look again
//
// After a pass in vain there is none for a while for who wants as much, unless something
// has been deleted or replaced since, or a view stood in the way.
type maker struct {
	mu      sync.Mutex
	running bool
	stopped bool
	waiting int           // transactions
	want    int64         // bytes that must be free for all of them
	asked   uint64        // the highest pass that somebody waits for
	begun   uint64        // passes
	ended   uint64        // likewise
	vain    bool          // the last pass for a transaction was
	tried   int64         // bytes that were to be free after it
	at      time.Time     // when it ended
	idle    time.Time     // when the last pass for nobody was in vain
	changed chan struct{} // closed when there may be more room
	done    sync.WaitGroup

	garbage  atomic.Bool                             // something was deleted or replaced since the last pass for a transaction began
	held     atomic.Bool                             // a view under way has kept the last pass from collecting more
	hurrying atomic.Bool                             // a transaction waits
	giveUp   atomic.Pointer[context.CancelCauseFunc] // of compactions for a pass
	count    roomCounters

	// Since the compactions for a pass began, for want of room.
	flushesFailed, compactionsFailed atomic.Int64
}

// roomCounters are for Metrics.
type roomCounters struct {
	passes, early           atomic.Int64 // passes; versions that went before their time
	waits, waited, refusals atomic.Int64 // of transactions; nanoseconds
	failed                  atomic.Int64 // flushes and compactions, for want of room
}

// again is how long after a pass in vain the next one is tried.
const again = time.Second

func (m *maker) init() { m.changed = make(chan struct{}) }

// early asks for room before anybody waits for it.
func (m *maker) early(e *Engine) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !e.opts.NoBackground && time.Since(m.idle) >= again {
		m.start(e)
	}
}

// ask asks for room for a transaction until it calls leave, so many bytes of it. It
// returns the number of the pass that does all that can be done; ok is false if that
// is nothing.
func (m *maker) ask(e *Engine, want int64) (ticket uint64, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	hopeless := m.vain && want >= m.tried && !m.garbage.Load() && !m.held.Load() && time.Since(m.at) < again
	if m.stopped || hopeless {
		return 0, false
	}
	m.waiting++
	m.want = max(m.want, want)
	m.asked = m.begun + 1
	m.hurrying.Store(true)
	m.start(e)
	return m.asked, true
}

// leave ends the wait of a transaction.
func (m *maker) leave() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.waiting--; m.waiting == 0 {
		m.want = 0
		m.hurrying.Store(false)
	}
}

// renew gives a new ticket to who still waits after a pass that was not in vain. It
// tells whether there is hope.
func (m *maker) renew(e *Engine, ticket uint64) (next uint64, hope bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.stopped || m.ended >= ticket && m.vain:
		return 0, false
	case m.ended < ticket:
		return ticket, true
	}
	m.asked = m.begun + 1
	m.start(e)
	return m.asked, true
}

// changes returns a channel that is closed when there may be more room.
func (m *maker) changes() <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.changed
}

// freed wakes who waits for room.
func (m *maker) freed() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.wake()
}

func (m *maker) wake() {
	close(m.changed)
	m.changed = make(chan struct{})
}

// start runs the maker; mu is held.
func (m *maker) start(e *Engine) {
	if m.running || m.stopped {
		return
	}
	m.running = true
	m.done.Go(func() {
		for more := true; more; {
			want := m.begin()
			r, err := e.pass(want)
			if err != nil && e.background.ctx.Err() == nil {
				e.opts.Log("store: making room: %v", err)
			}
			more = m.end(want, r)
		}
	})
}

// begin begins a pass and returns what must be free after it, 0 if nobody waits.
func (m *maker) begin() (want int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.begun++
	if m.want > 0 {
		m.garbage.Store(false)
	}
	m.count.passes.Add(1)
	return m.want
}

// end ends a pass and tells whether there is to be another one.
func (m *maker) end(want int64, r result) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ended = m.begun
	if want > 0 {
		m.vain, m.tried, m.at = r == inVain, want, time.Now()
	} else if r == inVain {
		m.idle = time.Now()
	}
	m.running = !m.stopped && (r == helped || m.asked > m.ended)
	m.wake()
	return m.running
}

// stop waits for the pass under way, which ends with the background's context.
func (m *maker) stop() {
	m.mu.Lock()
	m.stopped = true
	m.wake()
	m.mu.Unlock()
	m.done.Wait()
}
