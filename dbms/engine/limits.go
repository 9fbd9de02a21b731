package engine

// The limits of every engine. They are small enough for any of them to keep,
// so that what works on one works on the others.
const (
	MaxKey          = 10 << 10  // bytes of one key
	DefaultMaxValue = 1 << 20   // bytes of one value, if the engine was not opened to take more
	MaxValue        = 16 << 20  // the most that it can be opened to take
	MaxWrites       = 1_000_000 // keys that one transaction may write
	MaxTxBytes      = 64 << 20  // bytes of keys and values that one transaction may write
	MaxOpField      = 255       // bytes of each text in an Op
	MaxTracedKB     = 64        // KiB of keys that a traced transaction records; the rest is only counted
)

// ValueLimit is the limit of an engine that is asked to take values of up to asked bytes:
// that, but at least DefaultMaxValue, which the machine's own tables need, and at most
// MaxValue.
func ValueLimit(asked int) int { return min(max(asked, DefaultMaxValue), MaxValue) }

// A transaction of the largest value and key must fit.
const _ uint = MaxTxBytes - MaxKey - MaxValue

// The four texts of an Op with their lengths must fit in a value.
const _ uint = DefaultMaxValue - 8*(MaxOpField+1) - MaxTracedKB<<10
