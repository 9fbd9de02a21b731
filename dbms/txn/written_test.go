package txn_test

import (
	"fmt"
	"testing"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/txn"
)

// Written shows a transaction's own writes only, few or many.
func TestWritten(t *testing.T) {
	for _, n := range []int{5, 500} {
		db := newDB(t)
		put(t, db, "k0007", "before")
		_, err := db.Update(t.Context(), op(), func(tx *txn.Tx) error {
			for i := range n {
				check(t, tx.Put(fmt.Appendf(nil, "k%04d", 2*i), []byte("x")))
			}
			check(t, tx.Delete([]byte("k0004")))
			r := engine.Range{Low: []byte("k0002"), High: []byte("k0007")}
			for _, reverse := range []bool{false, true} {
				got := ""
				for w := range tx.Written(r, reverse) {
					got += fmt.Sprintf("%s %s %v, ", w.Key, w.Value, w.Deleted)
				}
				want := "k0002 x false, k0004  true, k0006 x false, "
				if reverse {
					want = "k0006 x false, k0004  true, k0002 x false, "
				}
				if got != want {
					t.Errorf("written %s, want %s", got, want)
				}
			}
			return nil
		})
		check(t, err)
	}
}
