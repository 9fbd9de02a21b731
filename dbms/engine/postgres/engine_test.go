package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"testing"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/engine/enginetest"
	"github.com/tuplix/tuplix/dbms/engine/postgres"
	"github.com/tuplix/tuplix/dbms/engine/postgres/pgtest"
)

// server is the private server of these tests.
var server *pgtest.Server

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	var err error
	if server, err = pgtest.Start(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	status := m.Run()
	if err := server.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return status
}

var stores atomic.Int64

// newSchema names a store that is not there yet.
func newSchema() string { return fmt.Sprintf("store %d", stores.Add(1)) }

func open(t *testing.T, url string, o postgres.Options) *postgres.Engine {
	t.Helper()
	o.CollectEvery, o.Log = -1, t.Logf
	e, err := postgres.Open(context.Background(), url, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil && !errors.Is(err, engine.ErrClosed) {
			t.Error(err)
		}
	})
	return e
}

// suite is the conformance suite on a server.
func suite(url string) enginetest.Suite {
	clock := &enginetest.Clock{}
	schemas := map[engine.Engine]string{}
	reopen := func(t *testing.T, schema string) engine.Engine {
		e := open(t, url, postgres.Options{Schema: schema, Now: clock.Now})
		schemas[e] = schema
		return e
	}
	return enginetest.Suite{
		Open:   func(t *testing.T) engine.Engine { return reopen(t, newSchema()) },
		Reopen: func(t *testing.T, e engine.Engine) engine.Engine { return reopen(t, schemas[e]) },
		Clock:  clock,
	}
}

func TestEngine(t *testing.T) { suite(server.URL).Run(t) }

// TestOthers runs the suite on the servers that speak the same protocol. They
// are not installed with the tests, so this needs their address.
func TestOthers(t *testing.T) {
	for _, name := range []string{"COCKROACH_URL", "YUGABYTE_URL"} {
		t.Run(name, func(t *testing.T) {
			url := os.Getenv(name)
			if url == "" {
				t.Skip("not tested: " + name + " is not set")
			}
			suite(url).Run(t)
		})
	}
}

func TestLongValues(t *testing.T) {
	schema := newSchema()
	enginetest.LongValues(t, func(maxValue int) engine.Engine {
		return open(t, server.URL, postgres.Options{Schema: schema, MaxValue: maxValue})
	})
}
