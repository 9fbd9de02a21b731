package embedded

import (
	"bytes"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// walks are flushes and compactions under way. They let others go first at each block
// that they read or write (fence.go). But of rows that have been replaced, or are gone,
// as most of a queue's are, a flush writes nothing: where it had the only processor it
// kept it for up to ten milliseconds, which is when the scheduler takes it away. Pebble
// compares each key that it comes to with the one before, and so gives them the
// occasion to step back there, too.
type walks struct {
	some  atomic.Int32  // how many there are
	keys  atomic.Uint32 // that were compared while there were some
	due   atomic.Int64  // when the stretch ends that lasts, in nanoseconds since epoch
	epoch time.Time
}

// A walk goes on for as long as it has let others go before, but within these bounds.
// Beside few it has short stretches, as each of several steps of one request may have to
// wait for one. Beside many, who run sixty turns for each of its own, it must keep up with
// what they write.
const (
	walkLeast = 50 * time.Microsecond
	walkMost  = 200 * time.Microsecond

	walkLooks = 16 // keys from one look at the clock to the next
)

// comparer is Pebble's own order of keys.
func (w *walks) comparer() *pebble.Comparer {
	w.epoch = time.Now()
	c := *pebble.DefaultComparer
	c.Equal = w.equal
	return &c
}

// equal may be called by anybody who reads: they step back as well then, which is as
// good for those who wait.
func (w *walks) equal(a, b []byte) bool {
	if w.some.Load() > 0 && w.keys.Add(1)%walkLooks == 0 {
		if now := time.Since(w.epoch); now > time.Duration(w.due.Load()) {
			runtime.Gosched()
			next := time.Since(w.epoch)
			w.due.Store(int64(next + min(max(next-now, walkLeast), walkMost)))
		}
	}
	return bytes.Equal(a, b)
}

func (w *walks) begin() { w.some.Add(1) }

func (w *walks) end() { w.some.Add(-1) }
