package embedded

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/engine/enginetest"
)

// TestSuite is what every engine must do.
func TestSuite(t *testing.T) {
	for _, background := range []bool{true, false} {
		name := map[bool]string{true: "background", false: "unrepaired"}[background]
		t.Run(name, func(t *testing.T) {
			clock := &enginetest.Clock{}
			volumes := map[engine.Engine]vfs.FS{}
			open := func(t *testing.T, fs vfs.FS) engine.Engine {
				e, err := Open(fs, "store", Options{
					Memory: MinMemory, Now: clock.Now, Log: t.Logf, NoBackground: !background,
				})
				if err != nil {
					t.Fatal(err)
				}
				volumes[e] = fs
				t.Cleanup(func() { _ = e.Close() })
				return e
			}
			enginetest.Suite{
				Open:   func(t *testing.T) engine.Engine { return open(t, vfs.NewMem()) },
				Reopen: func(t *testing.T, e engine.Engine) engine.Engine { return open(t, volumes[e]) },
				Clock:  clock,
			}.Run(t)
		})
	}
}

func TestLongValues(t *testing.T) {
	fs := vfs.NewMem()
	enginetest.LongValues(t, func(maxValue int) engine.Engine {
		e, err := Open(fs, "store", Options{Memory: MinMemory, MaxValue: maxValue, Log: t.Logf})
		must(t, err)
		return e
	})
}
