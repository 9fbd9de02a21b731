package postgres_test

import (
	"flag"
	"testing"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/engine/enginetest/isolation"
	"github.com/tuplix/tuplix/dbms/engine/postgres"
)

func TestIsolation(t *testing.T) {
	isolation.Run(t, 2200, func(t *testing.T) engine.Engine {
		return open(t, server.URL, postgres.Options{Schema: newSchema()})
	})
}

var cut = flag.Int("cut", 0, "run TestIsolationCut with so many transactions")

// TestIsolationCut is the same over connections that are cut all the time, before
// the server gets a request or after.
//
// Once in some thousand cuts a read still fails with the lost connection, which is
// no wrong answer but ends the test: so it runs when it is asked for.
func TestIsolationCut(t *testing.T) {
	if *cut == 0 {
		t.Skip("runs by -cut N, the number of transactions (400 is usual)")
	}
	isolation.Run(t, *cut, func(t *testing.T) engine.Engine {
		p := newProxy(t)
		e := open(t, p.url(), postgres.Options{Schema: newSchema()})
		p.mu.Lock()
		p.every = 37
		p.mu.Unlock()
		t.Cleanup(func() { t.Logf("%d connections were cut", p.fired()) })
		return e
	})
}
