package lsm

import (
	"errors"
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2/record"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// TestManifestBlockEnds writes manifests of which the first block has some bytes left at
// its end, too few for a chunk or just enough: none is damaged.
func TestManifestBlockEnds(t *testing.T) {
	for left := range 2*chunkFixed + 1 {
		fs := vfs.NewMem()
		f, err := fs.Create("manifest", vfs.WriteCategoryUnspecified)
		if err != nil {
			t.Fatal(err)
		}
		w := record.NewWriter(f)
		for _, n := range []int{tailBlock - chunkFixed - left, 100} {
			if _, werr := w.WriteRecord(make([]byte, n)); werr != nil {
				t.Fatal(werr)
			}
		}
		if err := errors.Join(w.Close(), f.Close(), checkManifest(fs, "manifest")); err != nil {
			t.Error(fmt.Errorf("%d bytes left: %w", left, err))
		}
	}
}
