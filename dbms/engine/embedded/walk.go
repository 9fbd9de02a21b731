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
	begun atomic.Int64  // when the stretch began that lasts, in nanoseconds since epoch
	epoch time.Time
}

const (
	// walkStretch is for how long a walk goes on. Beside many others it gets one such
	// stretch for each 61 turns of theirs, and must keep up with what they write.
	walkStretch = 200 * time.Microsecond

	walkLooks = 32 // keys from one look at the clock to the next
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
	if w.some.Load() > 0 && w.keys.Add(1)%walkLooks == 0 && time.Since(w.epoch)-time.Duration(w.begun.Load()) > walkStretch {
		runtime.Gosched()
		w.begun.Store(int64(time.Since(w.epoch)))
	}
	return bytes.Equal(a, b)
}

func (w *walks) begin() { w.some.Add(1) }

func (w *walks) end() { w.some.Add(-1) }
