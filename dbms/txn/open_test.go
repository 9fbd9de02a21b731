package txn_test

import (
	"context"
	"flag"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/engine/embedded"
	"github.com/tuplix/tuplix/dbms/engine/enginetest/model"
	"github.com/tuplix/tuplix/dbms/txn"
)

var onModel = flag.Bool("model", false, "run on the model of an engine, to tell whose a failure is")

func newDB(t *testing.T) *txn.DB {
	var e engine.Engine = model.New(time.Now)
	if !*onModel {
		var err error
		e, err = embedded.Open(vfs.NewMem(), "store", embedded.Options{Memory: embedded.MinMemory})
		check(t, err)
	}
	t.Cleanup(func() {
		if ctx := context.Background(); e.Sync(ctx, "") == nil { // not if the test has closed it
			check(t, e.Check(ctx, func(p engine.Problem) { t.Errorf("%s: %s", p.Where, p.What) }))
		}
		check(t, e.Close())
	})
	return txn.New(e)
}
