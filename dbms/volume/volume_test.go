package volume

import (
	"errors"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

func TestPlace(t *testing.T) {
	if _, err := Here(); !errors.Is(err, ErrNone) {
		t.Fatalf("nothing was provided: %v", err)
	}
	Provide(Place{FS: vfs.NewMem(), Memory: 5})
	defer Provide(Place{})
	if p, err := Here(); err != nil || p.Memory != 5 {
		t.Fatal(p, err)
	}
}

// All are run, once, the last one first, whatever their errors.
func TestLeave(t *testing.T) {
	var ran []int
	failed := errors.New("failed")
	for i := range 3 {
		AtExit(func() error {
			ran = append(ran, i)
			if i == 1 {
				return failed
			}
			return nil
		})
	}
	if err := Leave(); !errors.Is(err, failed) {
		t.Error(err)
	}
	if err := Leave(); err != nil || !slices.Equal(ran, []int{2, 1, 0}) {
		t.Error(ran, err)
	}
}
