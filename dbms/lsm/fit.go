package lsm

import "github.com/cockroachdb/pebble/v2"

// Bounds of a memtable, in bytes.
const (
	MinMemTable = 1 << 20
	MaxMemTable = 64 << 20
)

// What Pebble has on the way are up to ten logs, one for each memtable and as many
// kept for reuse, and the tables that a compaction replaces, which it gives back
// only once the new ones are written. Hence on small devices memtables, tables and
// the first level are a share of the device. One table is compacted with up to ten
// times its size of the next level, so the size of tables bounds that of
// compactions.
const (
	memTableShare = 64
	tableShare    = 256
	minTable      = 256 << 10
	maxTable      = 32 << 20
	firstTable    = 2 << 20 // on a large device, doubled with each level
	baseShare     = 32
	minBase       = 1 << 20
	maxBase       = 64 << 20
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
}
