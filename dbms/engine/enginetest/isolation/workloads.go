package isolation

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/engine/enginetest/history"
)

// The keys in use move on: perKey transactions after one has come into use, the
// next does, and window of them are in use at a time. So lists stay short, and
// ranges that are read have keys that do not exist yet.
const (
	window = 5
	perKey = 12
)

func keyName(n int) string { return fmt.Sprintf("k%06d", n) }

// keyFor is a key that is in use by transaction n.
func keyFor(n int, rng *rand.Rand) string { return keyName(n/perKey + rng.IntN(window)) }

// script is a number of steps, each picked anew whenever it runs.
func script(seed uint64, n, most int, step func(l *log, rng *rand.Rand) error) action {
	return func(l *log) error {
		rng := rand.New(rand.NewPCG(seed, uint64(n)))
		for range 1 + rng.IntN(most) {
			if err := step(l, rng); err != nil {
				return err
			}
		}
		if rng.IntN(20) == 0 {
			return errAbort
		}
		return nil
	}
}

// looking reads keys and ranges.
func looking(n int, rng *rand.Rand) action {
	return script(rng.Uint64(), n, 4, func(l *log, rng *rand.Rand) error { return look(l, n, rng) })
}

func look(l *log, n int, rng *rand.Rand) error {
	if rng.IntN(3) == 0 {
		low := n/perKey + rng.IntN(window)
		return l.scan(keyName(low), keyName(low+1+rng.IntN(window)), rng.IntN(2) == 0)
	}
	_, _, err := l.get(keyFor(n, rng))
	return err
}

// lists has transactions append to lists: what is read tells all that came
// before, and so the order of the values of each key.
func lists(e engine.Engine, size int, seed uint64) ([]string, error) {
	r, err := record(e, size, seed, func(n int, rng *rand.Rand) action {
		return script(rng.Uint64(), n, 5, func(l *log, rng *rand.Rand) error {
			if rng.IntN(2) == 0 {
				return look(l, n, rng)
			}
			return appendTo(l, keyFor(n, rng), n)
		})
	}, looking)
	if err != nil {
		return nil, err
	}
	if err := r.readAll(size); err != nil {
		return nil, err
	}
	h := history.History{Txns: r.txns}
	return texts(append(h.ListOrder(), h.Check()...)), nil
}

// appendTo adds n to the list at key, unless it is there.
func appendTo(l *log, key string, n int) error {
	value, found, err := l.get(key)
	if err != nil {
		return err
	}
	mark := fmt.Sprint(n)
	if found {
		if value == mark || strings.HasSuffix(value, ","+mark) {
			return nil
		}
		mark = value + "," + mark
	}
	return l.put(key, mark)
}

// readAll looks at everything once more, so that every value is seen.
func (r *recorder) readAll(size int) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	r.ctx = ctx
	r.view("", func(l *log) error { return l.scan(keyName(0), keyName(size), false) })
	return r.err
}

func texts(bad []history.Anomaly) (all []string) {
	for _, a := range bad {
		all = append(all, a.String())
	}
	return all
}

// registers has transactions write and delete without looking. The order of the
// values of a key is what the engine's History says.
func registers(e engine.Engine, size int, seed uint64) ([]string, error) {
	r, err := record(e, size, seed, func(n int, rng *rand.Rand) action {
		return script(rng.Uint64(), n, 5, func(l *log, rng *rand.Rand) error {
			key := keyFor(n, rng)
			switch k := rng.IntN(10); {
			case k < 5:
				return look(l, n, rng)
			case k < 6 && strings.HasSuffix(key, "0"): // of few keys, since then absences differ
				return l.delete(key)
			}
			return l.put(key, fmt.Sprintf("%d.%d", n, len(l.ops)))
		})
	}, looking)
	if err != nil {
		return nil, err
	}
	h := history.History{Txns: r.txns, Order: map[string][]history.State{}}
	bad, err := r.order(&h)
	if err != nil {
		return nil, err
	}
	return append(bad, texts(h.Check())...), nil
}

// order reads the history of all keys. It must name transactions that are known.
func (r *recorder) order(h *history.History) (bad []string, err error) {
	made := map[engine.Version]int{}
	keys := map[string]bool{}
	for i, x := range r.txns {
		if x.Outcome == history.Committed && !x.ReadOnly {
			made[engine.Version(x.Version)] = i
		}
		for _, o := range x.Ops {
			if o.Write {
				keys[o.Key] = true
			}
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return bad, r.db.Engine().View(ctx, "", func(reader engine.Reader) error {
		for key := range keys {
			for row, err := range reader.History([]byte(key)) {
				if err != nil {
					return err
				}
				i, known := made[row.Version]
				if !known {
					bad = append(bad, fmt.Sprintf("garbage: nobody who wrote %s=%s has version %x", key, row.Value, row.Version))
					continue
				}
				h.Order[key] = append(h.Order[key], history.State{Value: string(row.Value), Found: !row.Deleted, Txn: i})
			}
			slices.Reverse(h.Order[key])
		}
		return nil
	})
}
