package postgres_test

import (
	"testing"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/engine/enginetest/isolation"
	"github.com/tuplix/tuplix/dbms/engine/postgres"
)

func TestIsolation(t *testing.T) {
	isolation.Run(t, 1200, func(t *testing.T) engine.Engine {
		return open(t, server.URL, postgres.Options{Schema: newSchema()})
	})
}

// TestIsolationCut is the same over connections that are cut all the time, before
// the server gets a request or after.
func TestIsolationCut(t *testing.T) {
	isolation.Run(t, 400, func(t *testing.T) engine.Engine {
		p := newProxy(t)
		e := open(t, p.url(), postgres.Options{Schema: newSchema()})
		p.mu.Lock()
		p.every = 37
		p.mu.Unlock()
		t.Cleanup(func() { t.Logf("%d connections were cut", p.fired()) })
		return e
	})
}
