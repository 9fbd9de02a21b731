package txn_test

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/txn"
)

var (
	seed   = flag.Uint64("seed", 0, "run this `seed` only")
	rounds = flag.Int("rounds", 300, "run this many seeds")
)

// TestModel runs random transactions, procedures and interactive ones, against
// maps: every read inside of them, and the state after each, must agree.
func TestModel(t *testing.T) {
	if *seed != 0 {
		runModel(t, *seed)
		return
	}
	for s := range uint64(*rounds) {
		if !t.Run(fmt.Sprint("seed=", s+1), func(t *testing.T) { runModel(t, s+1) }) {
			t.Fatalf("run again with -seed=%d", s+1)
		}
	}
}

type state map[string]string

// moment is a state that was committed.
type moment struct {
	version engine.Version
	state   state
}

type trial struct {
	t    *testing.T
	rand *rand.Rand
	db   *txn.DB
	past []moment
}

func runModel(t *testing.T, seed uint64) {
	m := &trial{t: t, rand: rand.New(rand.NewPCG(seed, 0)), db: newDB(t)}
	m.past = []moment{{version: version(t, m.db), state: state{}}}
	for range 12 {
		m.transaction()
	}
	for _, p := range m.past {
		check(t, m.db.ViewAt(t.Context(), p.version, func(tx *txn.Tx) error {
			return m.compare(tx, p.state)
		}))
	}
}

var errUndo = errors.New("undo")

func (m *trial) transaction() {
	now := m.past[len(m.past)-1].state
	after := maps.Clone(now)
	undo := m.rand.IntN(5) == 0
	var v engine.Version
	var err error
	if m.rand.IntN(2) == 0 {
		v, err = m.db.Update(m.t.Context(), op(), func(tx *txn.Tx) error {
			m.operations(tx, after)
			if undo {
				return errUndo
			}
			return nil
		})
	} else {
		var tx *txn.Tx
		tx, err = m.db.Begin(m.t.Context(), op())
		check(m.t, err)
		m.operations(tx, after)
		if undo {
			tx.Rollback()
			err = errUndo
		} else {
			v, err = tx.Commit(m.t.Context())
		}
	}
	if undo {
		if !errors.Is(err, errUndo) {
			m.t.Fatalf("undone: %v", err)
		}
		return
	}
	check(m.t, err)
	m.past = append(m.past, moment{version: v, state: after})
}

// operations works on tx and s alike.
func (m *trial) operations(tx *txn.Tx, s state) {
	type mark struct {
		mark txn.Mark
		s    state
		kept []engine.Range
	}
	var marks []mark
	var restored []engine.Range
	written := map[string]bool{}
	for range m.rand.IntN(100) {
		k := m.key()
		locked := slices.ContainsFunc(restored, func(r engine.Range) bool { return r.Contains([]byte(k)) })
		switch m.rand.IntN(12) {
		case 0, 1, 2, 3:
			v := fmt.Sprint(m.rand.IntN(1000))
			m.refused(tx.Put([]byte(k), []byte(v)), locked)
			if !locked {
				s[k], written[k] = v, true
			}
		case 4, 5:
			m.refused(tx.Delete([]byte(k)), locked)
			if !locked {
				delete(s, k)
				written[k] = true
			}
		case 6:
			m.get(tx, s, k)
		case 7:
			marks = append(marks, mark{tx.Savepoint(), maps.Clone(s), restored})
		case 8:
			if len(marks) > 0 {
				i := m.rand.IntN(len(marks))
				tx.RollbackTo(marks[i].mark)
				clear(s)
				maps.Copy(s, marks[i].s)
				restored = marks[i].kept
				marks = marks[:i+1]
			}
		case 9:
			if m.rand.IntN(4) == 0 {
				restored = m.restore(tx, s, written, restored)
			}
		default:
			check(m.t, m.scan(tx, s, m.rng(), m.rand.IntN(2) == 0))
		}
	}
}

func (m *trial) refused(err error, want bool) {
	m.t.Helper()
	if errors.Is(err, txn.ErrRestored) != want || err != nil && !want {
		m.t.Fatalf("write: %v, refused should be %v", err, want)
	}
}

// restore puts a range back to a moment, if nothing in it may have been written.
func (m *trial) restore(tx *txn.Tx, s state, written map[string]bool, restored []engine.Range) []engine.Range {
	r := m.rng()
	for k := range written {
		if r.Contains([]byte(k)) {
			return restored
		}
	}
	if r.Empty() || slices.ContainsFunc(restored, r.Overlaps) {
		return restored
	}
	p := m.past[m.rand.IntN(len(m.past))]
	check(m.t, tx.Restore(r, p.version))
	maps.DeleteFunc(s, func(k, _ string) bool { return r.Contains([]byte(k)) })
	for k, v := range p.state {
		if r.Contains([]byte(k)) {
			s[k] = v
		}
	}
	return append(slices.Clip(restored), r)
}

func (m *trial) key() string { return fmt.Sprintf("k%02d", m.rand.IntN(60)) }

func (m *trial) rng() engine.Range {
	r := engine.Range{Low: []byte(m.key()), High: []byte(m.key())}
	switch m.rand.IntN(6) {
	case 0:
		r.Low = nil
	case 1:
		r.High = nil
	}
	return r
}

func (m *trial) get(tx *txn.Tx, s state, k string) {
	value, found, err := tx.Get([]byte(k))
	check(m.t, err)
	if want, ok := s[k]; ok != found || want != string(value) {
		m.t.Fatalf("get %s: %q %v, want %q %v", k, value, found, want, ok)
	}
}

// compare reads everything in every way.
func (m *trial) compare(tx *txn.Tx, s state) error {
	keys := slices.Sorted(maps.Keys(s))
	var batch [][]byte
	for _, k := range keys {
		m.get(tx, s, k)
		batch = append(batch, []byte(k))
	}
	n := 0
	err := tx.GetBatch(batch, func(i int, value []byte) error {
		if i != n || string(value) != s[keys[i]] {
			m.t.Fatalf("batch: %d %q", i, value)
		}
		n++
		return nil
	})
	if n != len(keys) {
		m.t.Fatalf("batch: %d of %d", n, len(keys))
	}
	return errors.Join(err, m.scan(tx, s, engine.All, false), m.scan(tx, s, engine.All, true))
}

func (m *trial) scan(tx *txn.Tx, s state, r engine.Range, reverse bool) error {
	var want []string
	for _, k := range slices.Sorted(maps.Keys(s)) {
		if r.Contains([]byte(k)) {
			want = append(want, k+"="+s[k])
		}
	}
	if reverse {
		slices.Reverse(want)
	}
	most := len(want) + 1
	if m.rand.IntN(3) == 0 {
		most = m.rand.IntN(most)
	}
	var got []string
	c := tx.Scan(r, engine.ScanOptions{Reverse: reverse})
	for len(got) < most && c.Next() {
		got = append(got, string(c.Key())+"="+string(c.Value()))
	}
	if want = want[:min(most, len(want))]; !slices.Equal(got, want) {
		m.t.Fatalf("scan %q to %q, reverse %v:\n got %v\nwant %v", r.Low, r.High, reverse, got, want)
	}
	return errors.Join(c.Err(), c.Close())
}

func op() *engine.Op { return &engine.Op{User: "test", Name: "test"} }

func version(t *testing.T, db *txn.DB) (v engine.Version) {
	t.Helper()
	check(t, db.View(t.Context(), func(tx *txn.Tx) error { v = tx.Version(); return nil }))
	return v
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
