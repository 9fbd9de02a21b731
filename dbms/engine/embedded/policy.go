package embedded

import (
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/lsm"
)

// policy says what a store does as its device fills up: the past is kept for its
// retention as long as there is room for it, the present for as long as there is
// any. The free bytes of the device, from many to none:
//
//	enough ─┐ the oldest history is collected before its time, until so much is
//	low ────┘ free again; what ended within minRetained stays
//	reserve ─ transactions that make the store larger wait for room, and history
//	          goes as far as needed: only what a view under way reads stays, and
//	          that for viewTime. Where nothing is left to collect: engine.ErrFull
//	least ─── the same for all transactions. Between reserve and least is the
//	          room for deleting, and for writing over, of which the old rows
//	          count as history at first
//	work ──── compactions fail, and are tried again when there is room
//	0 ─────── what is left is for logs, manifests and flushes, without which the
//	          store could not go on
//
// Besides, history is collected before its time where it takes more than a share
// of the device. All sizes are in bytes; a device that does not tell its size
// (vfs.NewMem) has none of these marks.
type policy struct {
	total                             int64
	enough, low, reserve, least, work int64
	history                           int64 // the most that history may take
	piece                             int64 // of tables that are compacted at a time
}

const (
	reserveShare = 4 // of the device
	maxReserve   = 256 << 20
	lowShare     = 8 // of the device, above the reserve
	maxLow       = 1 << 30
	enoughShare  = 6 // likewise
	maxEnough    = 2 << 30

	// DefaultHistory is how much of a device history may take, in percent.
	DefaultHistory = 50

	// minRetained is for how long history is kept while transactions that make
	// the store larger find room.
	minRetained = engine.MinRetention

	// viewTime is for how long a view finds what it reads, whatever the room.
	viewTime = engine.MinRetention

	// earlyShare of history goes at a time while there is room left, and
	// hurriedShare when somebody waits: the more, the less often what remains is
	// rewritten.
	earlyShare, hurriedPart = 4, 2
)

// newPolicy is that of a device of total bytes with so many percent of it for
// history, below a Pebble with the given options.
func newPolicy(total int64, percent int, o *pebble.Options) policy {
	p := policy{total: total, work: min(lsm.Logs(o), total/8)}
	p.least = min(p.work+lsm.Work(o), total/3)
	p.reserve = min(max(min(total/reserveShare, maxReserve), 2*p.least), total/2)
	p.low = p.reserve + min(total/lowShare, maxLow)
	p.enough = p.reserve + min(total/enoughShare, maxEnough)
	p.history = total / 100 * int64(percent)
	p.piece = lsm.Work(o) / 2
	return p
}

// mark is what must be free for a transaction.
func (p *policy) mark(grows bool) int64 {
	if grows {
		return p.reserve
	}
	return p.least
}

// until is up to which version history may go early.
func (p *policy) until(now time.Time, last version, hurried bool) version {
	if hurried {
		return last
	}
	return min(last, versionAt(now.Add(-minRetained)))
}
