package isolation

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/engine/embedded"
)

func TestEmbedded(t *testing.T) {
	Run(t, 2200, func(t *testing.T) engine.Engine {
		e, err := embedded.Open(vfs.NewMem(), "store", embedded.Options{Memory: embedded.MinMemory, Log: t.Logf})
		if err != nil {
			t.Fatal(err)
		}
		return e
	})
}
