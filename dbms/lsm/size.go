package lsm

import "github.com/cockroachdb/pebble/v2"

// piece is what a table holds of a range of keys.
type piece struct {
	begin []byte // its first key
	size  int64  // about how many bytes, with the values that it keeps outside
}

// Size is about how many bytes the keys from low to before high take on the device:
// parts of tables by their index, and of the values that Pebble keeps outside of
// tables the share that follows from that. What is only in memory and in the log does
// not count.
//
// Pebble's own estimate (DB.EstimateDiskUsage, 2.1.7) writes to what it shares with
// compactions under no common lock, and what it writes may be lost or torn.
func Size(db *pebble.DB, low, high []byte) (int64, error) {
	pieces, err := pieces(db, low, high)
	n := int64(0)
	for i := range pieces {
		n += pieces[i].size
	}
	return n, err
}

// pieces measures the tables that hold keys from low to before high.
func pieces(db *pebble.DB, low, high []byte) ([]piece, error) {
	values, err := valuesOutside(db)
	if err != nil {
		return nil, err
	}
	levels, err := db.SSTables(pebble.WithKeyRangeFilter(low, high), pebble.WithApproximateSpanBytes())
	if err != nil {
		return nil, err
	}
	var list []piece
	for i, tables := range levels {
		for j := range tables {
			t := &tables[j]
			size := int64(t.ApproximateSpanBytes)
			if len(t.GetBlobReferenceFiles()) > 0 {
				size += int64(values[i] * float64(size))
			}
			list = append(list, piece{t.Smallest.UserKey, size})
		}
	}
	return list, nil
}

// valuesOutside is how many bytes of values the tables of each level keep outside for
// each of their own, those that keep any there.
func valuesOutside(db *pebble.DB) ([]float64, error) {
	levels, err := db.SSTables()
	if err != nil {
		return nil, err
	}
	m := db.Metrics()
	ratios := make([]float64, len(levels))
	for i, tables := range levels {
		size := uint64(0)
		for j := range tables {
			if len(tables[j].GetBlobReferenceFiles()) > 0 {
				size += tables[j].Size
			}
		}
		if size > 0 && i < len(m.Levels) {
			ratios[i] = float64(m.Levels[i].EstimatedReferencesSize) / float64(size)
		}
	}
	return ratios, nil
}
