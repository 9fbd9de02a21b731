package txn_test

import (
	"testing"
	"time"

	"github.com/tuplix/tuplix/dbms/engine/enginetest/model"
	"github.com/tuplix/tuplix/dbms/txn"
)

func newDB(t *testing.T) *txn.DB {
	e := model.New(time.Now)
	t.Cleanup(func() { check(t, e.Close()) })
	return txn.New(e)
}
