package embedded

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tuplix/tuplix/dbms/engine"
)

// spanModel is what spans are told, key by key.
type spanModel struct {
	spans   emptySpans
	present map[string]bool
	ended   map[string]version // when a key was last deleted
	keys    []string
	now     version
}

func newSpanModel() *spanModel {
	m := &spanModel{present: map[string]bool{}, ended: map[string]version{}}
	for i := range 12 {
		k := string(rune('a' + i))
		m.keys = append(m.keys, k, k+"\x00", k+"m")
	}
	slices.Sort(m.keys)
	return m
}

// scan is what a scan from one key to another finds empty before its first row.
func (m *spanModel) scan(low, high string) {
	for _, k := range m.keys {
		if k >= low && k < high && m.present[k] {
			high = k
			break
		}
	}
	m.spans.add([]byte(low), []byte(high), m.now)
}

func (m *spanModel) check() error {
	size := 0
	for i, x := range m.spans.list {
		size += len(x.low) + len(x.high)
		if bytes.Compare(x.low, x.high) >= 0 {
			return fmt.Errorf("%q to %q is no span", x.low, x.high)
		}
		if i > 0 && bytes.Compare(m.spans.list[i-1].high, x.low) >= 0 {
			return fmt.Errorf("spans touch at %q", x.low)
		}
		for _, k := range m.keys {
			if k < string(x.low) || k >= string(x.high) {
				continue
			}
			if m.present[k] || m.ended[k] > x.at {
				return fmt.Errorf("%q is in a span of %d; present %v, ended %d", k, x.at, m.present[k], m.ended[k])
			}
		}
	}
	if size != m.spans.bytes || m.spans.some.Load() != (len(m.spans.list) > 0) {
		return fmt.Errorf("%d bytes are counted of %d in %d spans", m.spans.bytes, size, len(m.spans.list))
	}
	return nil
}

// checkTake compares what is taken with all spans.
func (m *spanModel) checkTake(low, high string, newest version, room int) error {
	var want []string
	for _, x := range m.spans.list {
		if string(x.high) > low && string(x.low) < high && x.at <= newest {
			want = append(want, fmt.Sprintf("%q-%q", x.low, x.high))
		}
	}
	show := func(spans []emptySpan) (out []string) {
		for _, x := range spans {
			out = append(out, fmt.Sprintf("%q-%q", x.low, x.high))
		}
		return out
	}
	got := show(m.spans.take(nil, []byte(low), []byte(high), newest, room))
	if w := want[:min(room, len(want))]; !slices.Equal(got, w) {
		return fmt.Errorf("take: %v, not %v", got, w)
	}
	slices.Reverse(want)
	got = show(m.spans.takeBack(nil, []byte(low), []byte(high), newest, room))
	if w := want[:min(room, len(want))]; !slices.Equal(got, w) {
		return fmt.Errorf("take backward: %v, not %v", got, w)
	}
	return nil
}

func TestEmptySpansModel(t *testing.T) {
	for seed := range uint64(40) {
		rng, m := rand.New(rand.NewPCG(seed, 1)), newSpanModel()
		for range 1000 {
			m.now++
			key, other := m.keys[rng.IntN(len(m.keys))], m.keys[rng.IntN(len(m.keys))]
			low, high := min(key, other), max(key, other)
			switch n := rng.IntN(10); {
			case n < 3:
				m.present[key] = true
				m.spans.cut([]byte(key))
			case n < 7 && m.present[key]:
				m.present[key], m.ended[key] = false, m.now
				m.spans.gone([]byte(key), m.now)
			case n < 9:
				m.scan(low, high)
			}
			err := m.check()
			if err == nil {
				err = m.checkTake(low, high, m.now-version(rng.IntN(50)), 1+rng.IntN(4))
			}
			if err != nil {
				t.Fatalf("seed %d, step %d: %v", seed, m.now, err)
			}
		}
	}
}

func TestEmptySpansAreBounded(t *testing.T) {
	var s emptySpans
	key := func(i int) []byte { return fmt.Appendf(nil, "%06d", i) }
	for i := range 3 * maxEmptySpans {
		s.add(key(2*i), key(2*i+1), 1)
		s.take(nil, key(0), key(1), 1, 1) // in use all the time
	}
	if len(s.list) > maxEmptySpans {
		t.Errorf("%d spans", len(s.list))
	}
	if len(s.take(nil, key(0), key(1), 1, 1)) == 0 {
		t.Error("the span that is in use is forgotten")
	}
	long := strings.Repeat("k", engine.MaxKey-10)
	for i := range 100 {
		s.add([]byte(fmt.Sprintf("%s%06d", long, 2*i)), []byte(fmt.Sprintf("%s%06d", long, 2*i+1)), 1)
	}
	if s.bytes > maxEmptyBytes {
		t.Errorf("%d bytes", s.bytes)
	}
}

// storeModel runs random transactions against the engine and remembers all states.
type storeModel struct {
	t      *testing.T
	e      *Engine
	rng    *rand.Rand
	states []storeState
}

type storeState struct {
	version engine.Version
	rows    map[string]string
}

const modelKeys = 60

func (m *storeModel) key() string { return fmt.Sprintf("%03d", m.rng.IntN(modelKeys)) }

func (m *storeModel) span() engine.Range {
	a, b := m.key(), m.key()
	switch m.rng.IntN(4) {
	case 0:
		return engine.Range{Low: []byte(a)}
	case 1:
		return engine.Range{High: []byte(b)}
	}
	return engine.Range{Low: []byte(min(a, b)), High: []byte(max(a, b))}
}

// look compares a scan and some reads with a state.
func (m *storeModel) look(r engine.Reader, s storeState) {
	m.t.Helper()
	rng, reverse, limit := m.span(), m.rng.IntN(2) == 0, 1+m.rng.IntN(modelKeys)
	var want []string
	for _, k := range slices.SortedFunc(maps.Keys(s.rows), func(a, b string) int {
		if reverse {
			return cmp.Compare(b, a)
		}
		return cmp.Compare(a, b)
	}) {
		if rng.Contains([]byte(k)) && len(want) < limit {
			want = append(want, k+"="+s.rows[k])
		}
	}
	var got []string
	c := r.Scan(rng, engine.ScanOptions{Reverse: reverse, Limit: limit})
	for len(got) < limit && c.Next() {
		got = append(got, string(c.Key())+"="+string(c.Value()))
	}
	must(m.t, c.Err())
	must(m.t, c.Close())
	if !slices.Equal(got, want) {
		m.t.Fatalf("scan of %q, reverse %v: %v, not %v", rng, reverse, got, want)
	}
	for range 4 {
		k := m.key()
		value, found, err := r.Get([]byte(k))
		must(m.t, err)
		if want, there := s.rows[k]; found != there || string(value) != want {
			m.t.Fatalf("%s is %q, not %q", k, value, want)
		}
	}
}

// write changes some keys, or takes some from an end of a range.
func (m *storeModel) write(tx engine.Tx, rows map[string]string) {
	value := fmt.Sprint(m.rng.Uint32())
	if m.rng.IntN(2) == 0 {
		for range 1 + m.rng.IntN(3) {
			k := m.key()
			must(m.t, tx.Put([]byte(k), []byte(value)))
			rows[k] = value
		}
		return
	}
	c, n := tx.Scan(m.span(), engine.ScanOptions{Reverse: m.rng.IntN(2) == 0}), m.rng.IntN(8)
	var taken []string
	for len(taken) < n && c.Next() {
		taken = append(taken, string(c.Key()))
	}
	must(m.t, c.Err())
	must(m.t, c.Close())
	for _, k := range taken {
		must(m.t, tx.Delete([]byte(k)))
		delete(rows, k)
	}
}

// restore goes back to an older state in a range.
func (m *storeModel) restore(tx engine.Tx, rows map[string]string) {
	to, rng := m.states[m.rng.IntN(len(m.states))], m.span()
	if rng.Empty() {
		return
	}
	must(m.t, tx.Restore(rng, to.version))
	for i := range modelKeys {
		k := fmt.Sprintf("%03d", i)
		if !rng.Contains([]byte(k)) {
			continue
		}
		delete(rows, k)
		if v, there := to.rows[k]; there {
			rows[k] = v
		}
	}
}

func (m *storeModel) step() {
	last := m.states[len(m.states)-1]
	rows, rolledBack := maps.Clone(last.rows), false
	v, err := m.e.Update(ctx, &engine.Op{NoWait: true}, func(tx engine.Tx) error {
		m.look(tx, last)
		if m.rng.IntN(20) == 0 {
			m.restore(tx, rows)
		} else {
			m.write(tx, rows)
		}
		m.look(tx, last)
		if rolledBack = m.rng.IntN(5) == 0; rolledBack {
			return errRow
		}
		return nil
	})
	if rolledBack {
		return
	}
	must(m.t, err)
	m.states = append(m.states, storeState{v, rows})
	for range 3 {
		s := m.states[max(0, len(m.states)-1-m.rng.IntN(1+m.rng.IntN(len(m.states))))]
		must(m.t, m.e.View(ctx, s.version, func(r engine.Reader) error { m.look(r, s); return nil }))
	}
}

// TestPastAndEmptyModel has scans note each span and reads use iterators that are
// kept, with restores, repairs, rollbacks, flushes and compactions in between.
func TestPastAndEmptyModel(t *testing.T) {
	seeds := 12
	if testing.Short() || raced {
		seeds = 4
	}
	for seed := range uint64(seeds) {
		e, err := Open(vfs.NewMem(), "store", Options{NoBackground: true, Memory: MinMemory})
		must(t, err)
		e.empty.steps = int(seed % 3)
		m := &storeModel{t: t, e: e, rng: rand.New(rand.NewPCG(seed, 2))}
		m.states = []storeState{{e.last.Load().external(), map[string]string{}}}
		t.Log("seed", seed)
		for range 400 {
			m.step()
			switch m.rng.IntN(40) {
			case 0:
				must(t, e.db.Flush())
			case 1:
				must(t, e.Compact(ctx))
			case 2:
				_, err := e.Collect(ctx)
				must(t, err)
			}
		}
		must(t, e.Close())
	}
}

// TestQueueBesideViews takes from a queue and adds to it, also in front, while
// others look at it: the sum of what is there never changes.
func TestQueueBesideViews(t *testing.T) {
	e, err := Open(vfs.NewMem(), "store", Options{NoBackground: true})
	must(t, err)
	e.empty.steps = 0
	const length = 40
	op := &engine.Op{NoWait: true}
	_, err = e.Update(ctx, op, func(tx engine.Tx) error {
		for i := range length {
			must(t, tx.Put(queueKey(1<<20+i), nil))
		}
		return nil
	})
	must(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		rng := rand.New(rand.NewPCG(1, 3))
		for next := 1<<20 + length; next < 1<<20+4000; next++ {
			_, err := e.Update(ctx, op, func(tx engine.Tx) error { return moveOne(tx, rng, next) })
			if err != nil {
				t.Error(err)
				return
			}
		}
	}()
	for looking, rng := true, rand.New(rand.NewPCG(1, 4)); looking; {
		select {
		case <-done:
			looking = false
		default:
		}
		must(t, e.View(ctx, "", func(r engine.Reader) error {
			for range 3 {
				c, n := r.Scan(engine.PrefixRange([]byte("q")), engine.ScanOptions{Reverse: rng.IntN(2) == 0}), 0
				for c.Next() {
					n++
				}
				if n != length {
					t.Fatalf("%d rows are in the queue, not %d", n, length)
				}
				must(t, c.Close())
			}
			return nil
		}))
	}
	must(t, e.Close())
}

func queueKey(n int) []byte { return fmt.Appendf(nil, "q%08d", n) }

// moveOne takes a row from an end and puts one at the tail or near the head.
func moveOne(tx engine.Tx, rng *rand.Rand, next int) error {
	c := tx.Scan(engine.PrefixRange([]byte("q")), engine.ScanOptions{Reverse: rng.IntN(4) == 0, Limit: 1})
	if !c.Next() {
		return c.Err()
	}
	key := bytes.Clone(c.Key())
	if err := c.Close(); err != nil {
		return err
	}
	if err := tx.Delete(key); err != nil {
		return err
	}
	if rng.IntN(4) == 0 {
		front := queueKey(1<<20 - next%1000*2) // before most others, where rows were deleted
		if _, there, err := tx.Get(front); err != nil {
			return err
		} else if !there {
			return tx.Put(front, nil)
		}
	}
	return tx.Put(queueKey(next), nil)
}
