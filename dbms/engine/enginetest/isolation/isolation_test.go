package isolation

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/engine/enginetest/model"
)

func TestModel(t *testing.T) {
	Run(t, 2000, func(*testing.T) engine.Engine { return model.New(nil) })
}

// faulty is the model with a fault.
type faulty struct {
	engine.Engine
	update func(tx engine.Tx) engine.Tx
	view   func(newest engine.Version) engine.Version
}

func (f *faulty) Update(ctx context.Context, op *engine.Op, fn func(engine.Tx) error) (engine.Version, error) {
	return f.Engine.Update(ctx, op, func(tx engine.Tx) error {
		if f.update != nil {
			tx = f.update(tx)
		}
		return fn(tx)
	})
}

func (f *faulty) View(ctx context.Context, at engine.Version, fn func(engine.Reader) error) error {
	if f.view != nil {
		at = f.view(at)
	}
	return f.Engine.View(ctx, at, fn)
}

// blind never sees a change: interactive transactions are not validated.
type blind struct{ engine.Tx }

func (blind) Changed(engine.Version, []engine.Range) (bool, error) { return false, nil }

// pointwise validates keys, but not ranges of several keys.
type pointwise struct{ engine.Tx }

func (p pointwise) Changed(since engine.Version, ranges []engine.Range) (bool, error) {
	var keys []engine.Range
	for _, r := range ranges {
		if len(r.High) == len(r.Low)+1 {
			keys = append(keys, r)
		}
	}
	return p.Tx.Changed(since, keys)
}

// forgetful drops some of the deletions.
type forgetful struct{ engine.Tx }

func (f forgetful) Delete(key []byte) error {
	if strings.HasSuffix(string(key), "7") {
		return nil
	}
	return f.Tx.Delete(key)
}

// partial restores all keys of a range but the last.
type partial struct{ engine.Tx }

func (p partial) Restore(r engine.Range, to engine.Version) error {
	r.High = append([]byte(nil), r.High...)
	r.High[len(r.High)-1]--
	return p.Tx.Restore(r, to)
}

// TestFaults: what a workload looks for, it finds.
func TestFaults(t *testing.T) {
	var mu sync.Mutex
	var last engine.Version // what an outdated View shows: the newest of some time ago
	calls := 0
	outdated := func(e engine.Engine) func(engine.Version) engine.Version {
		return func(at engine.Version) engine.Version {
			mu.Lock()
			defer mu.Unlock()
			if calls++; at != "" {
				return at
			}
			if calls%40 == 0 || last == "" {
				if err := e.View(t.Context(), "", func(r engine.Reader) error { last = r.Version(); return nil }); err != nil {
					t.Error(err)
				}
			}
			return last
		}
	}
	for _, try := range []struct {
		name string
		load func(engine.Engine, int, uint64) ([]string, error)
		make func(engine.Engine) *faulty
		want []string // one of them is found
	}{
		{"lists without validation", lists, func(e engine.Engine) *faulty {
			return &faulty{Engine: e, update: func(tx engine.Tx) engine.Tx { return blind{tx} }}
		}, []string{"lost", "incompatible order"}},
		{"registers without validation", registers, func(e engine.Engine) *faulty {
			return &faulty{Engine: e, update: func(tx engine.Tx) engine.Tx { return blind{tx} }}
		}, []string{"G-single", "G2-item", "G2"}},
		{"registers without validation of ranges", registers, func(e engine.Engine) *faulty {
			return &faulty{Engine: e, update: func(tx engine.Tx) engine.Tx { return pointwise{tx} }}
		}, []string{"G-single", "G2-item", "G2", "order"}},
		{"bank without validation", bank, func(e engine.Engine) *faulty {
			return &faulty{Engine: e, update: func(tx engine.Tx) engine.Tx { return blind{tx} }}
		}, []string{"at "}},
		{"bank without some deletions", bank, func(e engine.Engine) *faulty {
			return &faulty{Engine: e, update: func(tx engine.Tx) engine.Tx { return forgetful{tx} }}
		}, []string{"at "}},
		{"lists with outdated views", lists, func(e engine.Engine) *faulty {
			return &faulty{Engine: e, view: outdated(e)}
		}, []string{"G-single in real time", "G2-item in real time", "G2 in real time"}},
		{"registers with outdated views", linearizable, func(e engine.Engine) *faulty {
			return &faulty{Engine: e, view: outdated(e)}
		}, []string{"registers are not linearizable"}},
		{"restored registers with outdated views", restored, func(e engine.Engine) *faulty {
			return &faulty{Engine: e, view: outdated(e)}
		}, []string{"registers with restores"}},
		{"restores that keep a register", restored, func(e engine.Engine) *faulty {
			return &faulty{Engine: e, update: func(tx engine.Tx) engine.Tx { return partial{tx} }}
		}, []string{"registers with restores"}},
	} {
		t.Run(try.name, func(t *testing.T) {
			last = ""
			bad, err := try.load(try.make(model.New(nil)), 2000, 1)
			if err != nil {
				t.Fatal(err)
			}
			for _, text := range bad {
				for _, want := range try.want {
					if strings.HasPrefix(text, want) {
						return
					}
				}
			}
			t.Errorf("none of %q is found: %q", try.want, bad)
		})
	}
}
