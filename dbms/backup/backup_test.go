package backup_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tuplix/tuplix/dbms/backup"
	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/engine/embedded"
)

func op() *engine.Op { return &engine.Op{User: "test", Name: "test"} }

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func contents(t *testing.T, e engine.Engine) map[string]string {
	t.Helper()
	m := map[string]string{}
	check(t, e.View(t.Context(), "", func(r engine.Reader) error {
		c := r.Scan(engine.All, engine.ScanOptions{})
		for c.Next() {
			if c.Key()[0] != 0 { // the mark of a load
				m[string(c.Key())] = string(c.Value())
			}
		}
		return errors.Join(c.Err(), c.Close())
	}))
	return m
}

func same(t *testing.T, a, b engine.Engine) {
	t.Helper()
	if x, y := contents(t, a), contents(t, b); !maps.Equal(x, y) {
		t.Fatalf("contents differ: %d and %d keys", len(x), len(y))
	}
}

// change does some random transactions, restores among them.
func change(t *testing.T, e engine.Engine, r *rand.Rand, transactions int) {
	t.Helper()
	var past []engine.Version
	for range transactions {
		v, err := e.Update(t.Context(), op(), func(tx engine.Tx) error {
			if len(past) > 3 && r.IntN(20) == 0 {
				rng := engine.Range{Low: key(r), High: key(r)}
				if rng.Empty() {
					return nil
				}
				return tx.Restore(rng, past[r.IntN(len(past))])
			}
			seen := map[string]bool{}
			for range 1 + r.IntN(20) {
				k := key(r)
				if seen[string(k)] {
					continue
				}
				seen[string(k)] = true
				var err error
				if r.IntN(4) == 0 {
					err = tx.Delete(k)
				} else {
					err = tx.Put(k, bytes.Repeat([]byte{byte(r.Uint32())}, r.IntN(300)))
				}
				if err != nil {
					return err
				}
			}
			return nil
		})
		check(t, err)
		past = append(past, v)
	}
}

func key(r *rand.Rand) []byte { return fmt.Appendf(nil, "key%04d", r.IntN(2000)) }

func write(t *testing.T, e engine.Engine, from engine.Version) ([]byte, backup.Summary) {
	t.Helper()
	var b bytes.Buffer
	s, err := backup.Write(t.Context(), e, &b, from, nil)
	check(t, err)
	read, err := backup.Read(bytes.NewReader(b.Bytes()))
	check(t, err)
	if read.Records != s.Records || read.Bytes != s.Bytes || read.To != s.To || read.From != from || !read.Time.Equal(s.Time) {
		t.Fatalf("read %+v, written %+v", read, s)
	}
	return b.Bytes(), s
}

func load(t *testing.T, e engine.Engine, b []byte) {
	t.Helper()
	_, err := backup.Load(t.Context(), e, bytes.NewReader(b), nil)
	check(t, err)
}

// A full backup and a chain of increments bring about the same contents; a
// store that was loaded can itself be copied.
func TestChain(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	from, to := newEngine(t), newEngine(t)
	change(t, from, r, 200)
	full, s := write(t, from, "")
	load(t, to, full)
	same(t, from, to)
	for range 4 {
		change(t, from, r, 100)
		var increment []byte
		increment, s = write(t, from, s.To)
		load(t, to, increment)
		same(t, from, to)
	}
	third := newEngine(t)
	again, _ := write(t, to, "")
	load(t, third, again)
	same(t, from, third)
}

// Writing goes on while a backup is made: the backup is one moment's.
func TestConsistent(t *testing.T) {
	e := newEngine(t)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	set := func(ctx context.Context, n int) error {
		_, err := e.Update(ctx, op(), func(tx engine.Tx) error {
			for i := range 500 {
				if err := tx.Put(fmt.Appendf(nil, "k%d", i), fmt.Append(nil, n)); err != nil {
					return err
				}
			}
			return nil
		})
		return err
	}
	check(t, set(ctx, 0))
	go func() {
		for n := 1; ; n++ {
			if err := set(ctx, n); err != nil {
				done <- err
				return
			}
		}
	}()
	for range 3 {
		b, s := write(t, e, "")
		copy := newEngine(t)
		load(t, copy, b)
		whole := func() string {
			got := contents(t, copy)
			for k, v := range got {
				if v != got["k0"] {
					t.Fatalf("%s is of transaction %s, k0 of %s", k, v, got["k0"])
				}
			}
			return got["k0"]
		}
		first := whole()
		b, _ = write(t, e, s.To)
		load(t, copy, b)
		if last := whole(); last == first {
			t.Errorf("nothing was written before the increment: transaction %s", last)
		}
	}
	stop()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
}

func TestRefusals(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	e := newEngine(t)
	change(t, e, r, 20)
	full, s := write(t, e, "")
	change(t, e, r, 20)
	first, s1 := write(t, e, s.To)
	change(t, e, r, 20)
	second, _ := write(t, e, s1.To)

	to := newEngine(t)
	refused := func(what string, b []byte) {
		t.Helper()
		if _, err := backup.Load(t.Context(), to, bytes.NewReader(b), nil); !errors.Is(err, backup.ErrState) {
			t.Errorf("%s: %v", what, err)
		}
	}
	refused("increment without a full backup", first)
	load(t, to, full)
	refused("full backup twice", full)
	refused("increment left out", second)
	load(t, to, first)
	refused("increment twice", first)
	change(t, to, r, 1)
	refused("store changed in between", second)
	to = e
	refused("store not empty", full)
}

// A stream that is cut off anywhere, or has a byte changed, is refused; what was
// loaded of it is known to be a part only.
func TestDamage(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	e := newEngine(t)
	change(t, e, r, 10)
	whole, _ := write(t, e, "")
	step := max(1, len(whole)/400)
	for i := 0; i < len(whole); i += step {
		if _, err := backup.Read(bytes.NewReader(whole[:i])); !errors.Is(err, backup.ErrDamaged) {
			t.Fatalf("cut off after %d bytes: %v", i, err)
		}
		bad := bytes.Clone(whole)
		bad[i] ^= 1 << r.IntN(8)
		if _, err := backup.Read(bytes.NewReader(bad)); err == nil {
			t.Fatalf("byte %d changed and nobody noticed", i)
		}
	}
	if _, err := backup.Read(bytes.NewReader(append(whole, 0))); !errors.Is(err, backup.ErrDamaged) {
		t.Fatal("something behind the end was taken")
	}

	to := newEngine(t)
	if _, err := backup.Load(t.Context(), to, bytes.NewReader(whole[:len(whole)-5]), nil); !errors.Is(err, backup.ErrDamaged) {
		t.Fatal(err)
	}
	if part, err := backup.Interrupted(t.Context(), to); err != nil || !part {
		t.Fatalf("interrupted: %v %v", part, err)
	}
	if _, err := backup.Load(t.Context(), to, bytes.NewReader(whole), nil); !errors.Is(err, backup.ErrState) {
		t.Fatalf("load into a part: %v", err)
	}
	if part, err := backup.Interrupted(t.Context(), e); err != nil || part {
		t.Fatalf("a store that was never loaded: %v %v", part, err)
	}
}

// An error of the writer is returned, and what was written is not a backup.
func TestWriteError(t *testing.T) {
	e := newEngine(t)
	change(t, e, rand.New(rand.NewPCG(7, 8)), 20)
	whole, _ := write(t, e, "")
	for n := range len(whole) {
		if n%97 != 0 {
			continue
		}
		w := &short{left: n}
		if _, err := backup.Write(t.Context(), e, w, "", nil); !errors.Is(err, io.ErrShortWrite) {
			t.Fatalf("after %d bytes: %v", n, err)
		}
	}
}

type short struct{ left int }

func (s *short) Write(p []byte) (int, error) {
	if len(p) > s.left {
		return 0, io.ErrShortWrite
	}
	s.left -= len(p)
	return len(p), nil
}

func FuzzRead(f *testing.F) {
	f.Add([]byte("tuplix backup 1\n"))
	f.Add([]byte("tuplix backup 2\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := backup.Read(bytes.NewReader(b)); err == nil && len(b) < 40 {
			t.Error("too short to be a backup, and taken")
		}
	})
}

// Rows that are being loaded while a backup is made are in the next one, though they have
// a version from before it.
func TestLoadUnderWay(t *testing.T) {
	from, to := newEngine(t), newEngine(t)
	loader := from.(engine.Loader)
	change(t, from, rand.New(rand.NewPCG(3, 3)), 20)
	loaded := engine.Range{Low: []byte("z"), High: []byte("zz")}
	l, err := loader.Load(t.Context(), op(), loaded)
	check(t, err)
	check(t, l.Put([]byte("za"), nil, []byte("loaded")))
	change(t, from, rand.New(rand.NewPCG(4, 4)), 20)
	full, s := write(t, from, "")
	load(t, to, full)
	check(t, l.Commit(t.Context()))
	_, err = from.Update(t.Context(), op(), func(tx engine.Tx) error { return tx.Put([]byte("at"), []byte("za")) })
	check(t, err)
	increment, s := write(t, from, s.To)
	load(t, to, increment)
	same(t, from, to)
	settled, err := loader.Settled()
	check(t, err)
	if settled != s.To {
		t.Errorf("settled up to %x, and the backup goes to %x", settled, s.To)
	}
}

// TestLongValues: a backup holds values as long as any engine takes, and loads where
// they are taken.
func TestLongValues(t *testing.T) {
	open := func(maxValue int) engine.Engine {
		e, err := embedded.Open(vfs.NewMem(), "store", embedded.Options{Memory: embedded.MinMemory, MaxValue: maxValue})
		check(t, err)
		t.Cleanup(func() { check(t, e.Close()) })
		return e
	}
	a := open(engine.MaxValue)
	value := make([]byte, engine.MaxValue)
	if _, err := rand.NewChaCha8([32]byte{}).Read(value); err != nil { // it does not compress
		t.Fatal(err)
	}
	for _, k := range []string{"a", "b", "c"} {
		_, err := a.Update(t.Context(), op(), func(tx engine.Tx) error { return tx.Put([]byte(k), value) })
		check(t, err)
	}
	var stream bytes.Buffer
	_, err := backup.Write(t.Context(), a, &stream, "", nil)
	check(t, err)
	b := open(engine.MaxValue)
	_, err = backup.Load(t.Context(), b, bytes.NewReader(stream.Bytes()), nil)
	check(t, err)
	same(t, a, b)
	var limit *engine.LimitError
	if _, err := backup.Load(t.Context(), open(0), bytes.NewReader(stream.Bytes()), nil); !errors.As(err, &limit) {
		t.Errorf("a store that does not take such values: %v", err)
	}
}
