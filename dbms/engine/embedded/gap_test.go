package embedded

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tuplix/tuplix/dbms/engine"
)

// TestGaps adds and removes rows at the ends of some groups, and in between, also
// in transactions that fail, and after each looks into all gaps.
func TestGaps(t *testing.T) {
	e, err := Open(vfs.NewMem(), "store", Options{Memory: MinMemory})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	rng := rand.New(rand.NewPCG(1, 2))
	var ends [4]uint64
	key := func(group int, n uint64) []byte {
		return binary.BigEndian.AppendUint64([]byte{byte(group), 0}, n)
	}
	fails := errors.New("fails")
	used := 0
	for n := range 3000 {
		_, err := e.Update(t.Context(), nil, func(tx engine.Tx) error {
			written := map[string]bool{}
			for range rng.IntN(100) {
				g := rng.IntN(len(ends))
				ends[g]++
				k := key(g, ends[g])
				if rng.IntN(8) == 0 {
					k = key(g, rng.Uint64N(1<<18))
				}
				if written[string(k)] {
					continue
				}
				written[string(k)] = true
				if e.gaps.contain(k) {
					used++
				}
				if _, _, err := tx.Get(k); err != nil {
					return err
				}
				var err error
				if rng.IntN(8) == 0 {
					err = tx.Delete(k)
				} else {
					err = tx.Put(k, k)
				}
				if err != nil {
					return err
				}
			}
			if rng.IntN(8) == 0 {
				return fails
			}
			return nil
		})
		if err != nil && !errors.Is(err, fails) {
			t.Fatal(err)
		}
		if n < 300 || n%30 == 0 {
			checkGaps(t, e)
		}
	}
	if used < 1000 {
		t.Errorf("only %d keys were known to be missing", used)
	}
}

// TestGapOfTwoTables adds rows at the end of a table, while in another, behind it, one
// row comes and goes: that must not make the first table's gap unknown.
func TestGapOfTwoTables(t *testing.T) {
	e, err := Open(vfs.NewMem(), "store", Options{Memory: MinMemory})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	looked := 0
	for n := range uint64(500) {
		row := binary.BigEndian.AppendUint64([]byte{0, 7}, n)
		lease := binary.BigEndian.AppendUint64([]byte{0, 9}, n)
		_, err := e.Update(t.Context(), nil, func(tx engine.Tx) error {
			if !e.gaps.contain(row) {
				looked++
			}
			return errors.Join(tx.Put(row, row), tx.Put(lease, lease))
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err = e.Update(t.Context(), nil, func(tx engine.Tx) error { return tx.Delete(lease) }); err != nil {
			t.Fatal(err)
		}
		checkGaps(t, e)
	}
	if looked > 20 {
		t.Errorf("of 500 new rows %d were looked up", looked)
	}
}

func TestGapCut(t *testing.T) {
	for _, tt := range []struct {
		low, high, key, wantLow, wantHigh string
		want                              int // gaps that are left
	}{
		{"tasks.1", "", "tasks.4", "tasks.4\x00", "", 1},           // behind is where more are added
		{"tasks.1", "users", "timer", "tasks.1", "timer", 2},       // another table's
		{"tasks.1", "", "users", "tasks.1", "users", 2},            // likewise, and after all
		{"tasks.1", "users\x00", "users", "tasks.1", "users", 1},   // likewise, with nothing behind it
		{"tasks.1", "users", "tasks.1", "tasks.1\x00", "users", 1}, // the first
		{"tasks.1", "users", "tasks.0", "tasks.1", "users", 1},     // before it
		{"tasks.1", "users", "users", "tasks.1", "users", 1},       // after it
	} {
		g := &gap{low: []byte(tt.low)}
		if tt.high != "" {
			g.high = []byte(tt.high)
		}
		gs := gaps{list: []*gap{g}}
		gs.cut([]byte(tt.key))
		got := gs.list[0]
		if string(got.low) != tt.wantLow || string(got.high) != tt.wantHigh {
			t.Errorf("%q taken out of %q to %q leaves %q to %q, want %q to %q",
				tt.key, tt.low, tt.high, got.low, got.high, tt.wantLow, tt.wantHigh)
		}
		if n := len(gs.list); n != tt.want || n == 2 && (string(gs.list[1].low) != tt.key+"\x00" || string(gs.list[1].high) != tt.high) {
			t.Errorf("%q taken out of %q to %q leaves %d gaps, want %d; the last is %+v", tt.key, tt.low, tt.high, n, tt.want, gs.list[n-1])
		}
		if got.contains([]byte(tt.key)) {
			t.Errorf("%q is in the gap from %q to %q", tt.key, got.low, got.high)
		}
	}
}

func checkGaps(t *testing.T, e *Engine) {
	t.Helper()
	it, err := e.db.NewIter(nil)
	if err != nil {
		t.Fatal(err)
	}
	for i, g := range e.gaps.list {
		if i > 0 && (e.gaps.list[i-1].high == nil || bytes.Compare(e.gaps.list[i-1].high, g.low) > 0) {
			t.Errorf("the gap from %x overlaps the one before", g.low)
		}
		low, high := dataBounds(engine.Range{Low: g.low, High: g.high})
		if it.SeekGE(low) && bytes.Compare(it.Key(), high) < 0 {
			t.Errorf("the gap from %x to %x has the row %x", g.low, g.high, it.Key())
		}
	}
	if err := errors.Join(it.Error(), it.Close()); err != nil {
		t.Fatal(err)
	}
}
