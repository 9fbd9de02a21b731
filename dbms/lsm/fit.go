package lsm

import "github.com/cockroachdb/pebble/v2"

// Bounds of a memtable, in bytes.
const (
	MinMemTable = 512 << 10
	MaxMemTable = 64 << 20
)

// What Pebble has on the way are logs, one for each memtable and one more than as
// many kept for reuse, and the tables that a compaction replaces, which it gives
// back only once the new ones are written. Hence on small devices memtables,
// tables and the first level are a share of the device, there are two memtables and
// what is made of a few of them, and a compaction, one at a time, concerns two levels, not three. One table is compacted with up
// to ten times its size of the next level, so the size of tables bounds that of
// compactions.
const (
	memTableShare = 64
	tableShare    = 256
	minTable      = 64 << 10
	maxTable      = 32 << 20
	firstTable    = 2 << 20 // on a large device, doubled with each level
	baseShare     = 32
	minBase       = 1 << 20
	maxBase       = 64 << 20

	smallDevice    = 4 << 30
	smallMemTables = 2
	smallStop      = 4

	usualLevel0 = 8 // of memtables
)

// Fit bounds the sizes in p for a device of total bytes.
func Fit(p *pebble.Options, total uint64) {
	share := func(of, least, most uint64) uint64 { return min(max(total/of, least), most) }
	p.MemTableSize = min(p.MemTableSize, share(memTableShare, MinMemTable, MaxMemTable))
	p.LBaseMaxBytes = int64(share(baseShare, minBase, maxBase))
	largest := int64(share(tableShare, minTable, maxTable))
	for i := range p.TargetFileSizes {
		p.TargetFileSizes[i] = min(firstTable<<i, largest)
	}
	if total < smallDevice {
		p.MemTableStopWritesThreshold = smallMemTables
		p.L0StopWritesThreshold = smallStop
		p.CompactionConcurrencyRange = func() (int, int) { return 1, 1 }
		p.Experimental.MultiLevelCompactionHeuristic = pebble.NoMultiLevel{}
	}
}

// Logs is how many bytes the logs and the tables made of memtables may take
// together, at most, for what p lets Pebble hold in memory.
func Logs(p *pebble.Options) int64 {
	return 2 * int64(p.MemTableStopWritesThreshold) * int64(p.MemTableSize)
}

// Work is how many bytes a compaction that Pebble picks may write before it gives
// back what it replaces: a table and what it overlaps with, half as much again since
// tables are not cut exactly; or what was made of memtables and the level below.
func Work(p *pebble.Options) int64 {
	level0 := int64(min(p.L0StopWritesThreshold, usualLevel0)) * int64(p.MemTableSize)
	return max(16*p.TargetFileSizes[len(p.TargetFileSizes)-1], level0+p.LBaseMaxBytes)
}
