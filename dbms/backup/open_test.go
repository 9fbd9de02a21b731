package backup_test

import (
	"testing"
	"time"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/engine/enginetest/model"
)

func newEngine(t *testing.T) engine.Engine {
	e := model.New(time.Now)
	t.Cleanup(func() { check(t, e.Close()) })
	return e
}
