package engine

import "time"

// MinRetention is the shortest time for which superseded versions are kept, so
// that a View that has begun can end.
const MinRetention = time.Minute

// DefaultRetention is how long superseded versions are kept where nobody said
// otherwise.
const DefaultRetention = 7 * 24 * time.Hour

// Op tells who changes the store, and why. All texts are at most MaxOpField
// bytes; they are kept with the transaction as its provenance, so they must not
// hold secrets.
type Op struct {
	// ID makes the operation happen once: an Update with an ID that has already
	// taken effect does nothing. If empty, the engine gives the operation an ID
	// of its own.
	ID string

	User    string // on whose behalf
	Program string // which program
	Task    string // which task or workflow of it
	Name    string // the procedure's name, or the statement

	// NoWait has the transaction return when it has taken effect, before it is durable.
	// Others see it at once. What leaves the machine waits for it instead: its network
	// and console ask Engine.Owed, as whoever else tells the outside must.
	NoWait bool

	// Untold says that nothing which leaves the machine need wait for the transaction: it
	// is a note that the machine keeps for itself, such as a line of a log, or what POSIX
	// promises to nobody before fsync. Whether its caller waits is NoWait's.
	Untold bool

	Trace bool // record also which keys were read and written

	// Claimed says that the caller has refused what there is no room for before it
	// got here: the transaction may use some of what the engine keeps back, as
	// deletions may.
	Claimed bool
}

// Commit is the provenance of one transaction.
type Commit struct {
	Version     Version
	Time        time.Time // wall clock of the machine at the commit, microseconds
	Op          Op        // without NoWait; ID is as given or as the engine chose
	RowsRead    int
	RowsWritten int
	Keys        [][]byte // of a traced transaction
}

// Row is one version of a key.
type Row struct {
	Key     []byte
	Version Version // the transaction that wrote it
	Until   Version // the one that replaced, deleted or first hid it; zero if it is the newest
	Value   []byte
	Deleted bool   // Version deleted the key; Value is nil
	Hidden  bool   // a restore has since gone back to before it (another may have brought it back)
	Restore *Range // not a key but a restore of this range, to version To
	To      Version
}

// Collected counts what a collection removed.
type Collected struct {
	Versions int64 // superseded versions
	Commits  int64 // provenance records
	Bytes    int64 // of both, before compression
}

// Problem is a violation that a check found.
type Problem struct {
	Where string // the place, for people: a key, a table and row, a block
	What  string
}

// Space is the room on a device, in bytes.
type Space struct {
	Total int64
	Free  int64 // what transactions may take now
	Past  int64 // what superseded versions take, which go when room is needed
}

// Room is how an engine does with the room on its device: bytes now, counters since
// it was opened. It is zero where the engine has no device of its own, or one that
// does not tell.
type Room struct {
	Total, Free  int64
	Reserve      int64         // below it only transactions go on that do not make the store larger
	Early        int64         // below it the oldest history goes before its time
	History      int64         // that superseded versions take, about
	HistoryLimit int64         // that they may take
	HistorySpan  time.Duration // how far back everything can be read
	Collected    int64         // versions that went before their time
	Passes       int64         // rounds of making room
	Waits        int64         // transactions that waited for room
	WaitTime     time.Duration // together
	Refused      int64         // with ErrFull
	Failed       int64         // flushes and compactions, for want of room; they are done again
}

// Metrics are counters since the engine was opened, and states now.
type Metrics struct {
	Commits      int64         // transactions that took effect
	Conflicts    int64         // attempts that were run again or given up
	Replays      int64         // operations that had already taken effect
	Syncs        int64         // flushes of the device for commits
	SyncTime     time.Duration // spent in them, together
	KeysRead     int64
	KeysWritten  int64
	Watchers     int64 // waiting now
	Wakeups      int64
	Superseded   int64 // versions kept that are not the newest, estimated
	Collected    Collected
	Restores     int64 // whose keys are not yet all rewritten
	CacheHits    int64
	CacheMisses  int64
	LevelFiles   []int64 // of the LSM, by level; nil where there is none
	LevelBytes   []int64
	Compactions  int64
	DeviceBytes  int64 // in use
	LogBytes     int64 // written to the log
	WriteStalls  int64
	OldestReader time.Duration // age of the oldest View under way
	Room         Room
}
