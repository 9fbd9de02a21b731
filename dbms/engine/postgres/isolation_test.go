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
