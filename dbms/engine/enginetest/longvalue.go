package enginetest

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/tuplix/tuplix/dbms/engine"
)

// LongValues tests an engine's option for longer values. open opens the one store with
// the limit that is asked for; it is closed between two calls.
func LongValues(t *testing.T, open func(maxValue int) engine.Engine) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	value := func(size int, fill byte) []byte { return bytes.Repeat([]byte{fill}, size) }
	put := func(e engine.Engine, v []byte) (engine.Version, error) {
		return e.Update(ctx, plain, func(tx engine.Tx) error { return tx.Put([]byte("k"), v) })
	}
	is := func(e engine.Engine, at engine.Version, want []byte) {
		t.Helper()
		err := e.View(ctx, at, func(r engine.Reader) error {
			got, _, err := r.Get([]byte("k"))
			if err == nil && !bytes.Equal(got, want) {
				t.Errorf("a value of %d bytes reads as one of %d", len(want), len(got))
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
	const longer = 3<<20 + 5
	var first, last engine.Version
	var newest []byte
	for _, c := range []struct{ asked, limit int }{
		{longer, longer},
		{1 << 30, engine.MaxValue},
		{0, engine.DefaultMaxValue},
		{1000, engine.DefaultMaxValue},
	} {
		e := open(c.asked)
		if got := e.MaxValue(); got != c.limit {
			t.Errorf("asked for values of %d bytes the engine takes %d, want %d", c.asked, got, c.limit)
		}
		if first != "" {
			is(e, first, value(longer, 1))
			is(e, "", newest)
		}
		var over *engine.LimitError
		if _, err := put(e, value(c.limit+1, 0)); !errors.As(err, &over) || over.Limit != int64(c.limit) {
			t.Errorf("a value of %d bytes where %d are the limit: %v", c.limit+1, c.limit, err)
		}
		if c.limit > engine.DefaultMaxValue {
			fill := byte(1)
			if first != "" {
				fill = 2
			}
			newest = value(c.limit, fill)
			v, err := put(e, newest)
			if err != nil {
				t.Fatal(err)
			}
			is(e, "", newest)
			if first == "" {
				first = v
			}
			last = v
		}
		if err := e.Check(ctx, func(p engine.Problem) { t.Errorf("%s: %s", p.Where, p.What) }); err != nil {
			t.Error(err)
		}
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
	}
	e := open(0)
	defer e.Close()
	_, err := e.Update(ctx, plain, func(tx engine.Tx) error { return tx.Restore(engine.All, first) })
	if err != nil {
		t.Fatal(err)
	}
	is(e, "", value(longer, 1))
	is(e, last, value(engine.MaxValue, 2))
	if _, err := e.Collect(ctx); err != nil { // and repair
		t.Error(err)
	}
	is(e, "", value(longer, 1))
	if err := e.Check(ctx, func(p engine.Problem) { t.Errorf("%s: %s", p.Where, p.What) }); err != nil {
		t.Error(err)
	}
}
