package lsm

import (
	"testing"

	"github.com/cockroachdb/pebble/v2"
)

// Sizes grow with the device, within their bounds, and those that are asked for
// smaller stay so.
func TestFit(t *testing.T) {
	for _, test := range []struct {
		total, asked, memTable uint64
		base, first, last      int64
	}{
		{32 << 20, 64 << 20, 512 << 10, 1 << 20, 128 << 10, 128 << 10},
		{1 << 30, 64 << 20, 16 << 20, 32 << 20, 2 << 20, 4 << 20},
		{1 << 40, 64 << 20, 64 << 20, 64 << 20, 2 << 20, 32 << 20},
		{1 << 40, 4 << 20, 4 << 20, 64 << 20, 2 << 20, 32 << 20},
	} {
		p := &pebble.Options{MemTableSize: test.asked}
		Fit(p, test.total)
		n := len(p.TargetFileSizes)
		if p.MemTableSize != test.memTable || p.LBaseMaxBytes != test.base ||
			p.TargetFileSizes[0] != test.first || p.TargetFileSizes[n-1] != test.last {
			t.Errorf("%+v gives %d, %d, %v", test, p.MemTableSize, p.LBaseMaxBytes, p.TargetFileSizes)
		}
	}
}
