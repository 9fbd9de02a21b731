package embedded

import (
	"encoding/binary"
	"fmt"
	"testing"
)

// TestRecall keeps few rows and many in the same memory, in turns, and finds those of
// the turn and no others.
func TestRecall(t *testing.T) {
	var c recall
	key := func(turn, n int) []byte { return binary.BigEndian.AppendUint32(nil, uint32(turn<<16|n)) }
	for turn, size := range []int{0, 1, recallFew, recallFew + 1, 3, 200, recallFew + 1, 2, recallItems + 5, recallFew, 150} {
		for n := range size {
			k := key(turn, n)
			var row []byte
			if n%3 != 0 {
				row = fmt.Append(nil, turn, n)
			}
			if got := c.keep(k, row, hash(k), false); string(got) != string(row) || (got == nil) != (row == nil) {
				t.Fatalf("turn %d: %q is kept as %q", turn, row, got)
			}
		}
		for n := range size {
			it := c.find(key(turn, n))
			switch {
			case n >= recallItems:
				if it != nil {
					t.Errorf("turn %d: row %d is there, which is one too many", turn, n)
				}
			case it == nil:
				t.Errorf("turn %d: row %d is not there", turn, n)
			case n%3 == 0 && it.row != nil || n%3 != 0 && string(it.row) != string(fmt.Append(nil, turn, n)):
				t.Errorf("turn %d: row %d is %q", turn, n, it.row)
			}
		}
		if c.find(key(turn, size)) != nil || turn > 0 && c.find(key(turn-1, 0)) != nil {
			t.Errorf("turn %d: there is a row that nobody kept", turn)
		}
		c.clear()
	}
}
