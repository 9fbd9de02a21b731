package enginetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tuplix/tuplix/dbms/engine"
)

// awaitKey waits until a key is there.
func (s *store) awaitKey(ctx context.Context, key string, ranges ...engine.Range) error {
	for {
		var found bool
		var at engine.Version
		err := s.View(ctx, "", func(r engine.Reader) (err error) {
			at = r.Version()
			_, found, err = r.Get([]byte(key))
			return err
		})
		if err != nil || found {
			return err
		}
		v, err := s.Watch(ctx, at, ranges...)
		if err != nil {
			return err
		}
		if v < at {
			return fmt.Errorf("watching since %x returns %x", at, v)
		}
	}
}

// waiting waits until n Watches wait, by the engine's own count.
func (s *store) waiting(n int64) {
	s.t.Helper()
	for start := time.Now(); s.Metrics().Watchers < n; time.Sleep(time.Millisecond) {
		if time.Since(start) > patience/2 {
			s.t.Fatalf("%d of %d watchers wait", s.Metrics().Watchers, n)
		}
	}
}

func testWatch(t *testing.T, s *store) {
	for i, ranges := range [][]engine.Range{
		{engine.All},
		{engine.KeyRange([]byte("k2"))},
		{rangeOf("x", "y"), rangeOf("k1", "k3")},
		{engine.PrefixRange([]byte("k"))},
	} {
		at := s.set("k2", "-")
		type outcome struct {
			v   engine.Version
			err error
		}
		done := make(chan outcome, 1)
		go func() {
			v, err := s.Watch(s.ctx, at, ranges...)
			done <- outcome{v, err}
		}()
		s.waiting(1)
		other := s.set(fmt.Sprint("other", i), "1")
		want := s.set("k2", "1")
		got := <-done
		if got.err != nil || got.v < other {
			t.Errorf("Watch of %q: %x, %v", ranges, got.v, got.err)
		}
		if got.v >= want && s.get(got.v, "k2") != "1" {
			t.Errorf("Watch returns %x, which does not include the change of %x", got.v, want)
		}
	}
}

// testWatchEarly: what has happened before the Watch is not waited for.
func testWatchEarly(t *testing.T, s *store) {
	at := s.newest()
	v := s.set("a", "1")
	for i := range 300 {
		s.set("b", fmt.Sprint(i))
	}
	got, err := s.Watch(s.ctx, at, engine.KeyRange([]byte("a")))
	if err != nil || got < v {
		t.Errorf("Watch since before the change of %x: %x, %v", v, got, err)
	}
}

func testWatchRestore(t *testing.T, s *store) {
	v1 := s.set("a", "1")
	s.set("a", "-")
	done := make(chan error, 1)
	go func() { done <- s.awaitKey(s.ctx, "a", engine.KeyRange([]byte("a"))) }()
	s.waiting(1)
	s.restore(engine.All, v1)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func testWatchCancelled(t *testing.T, s *store) {
	at := s.set("a", "1")
	ctx, cancel := context.WithCancel(s.ctx)
	done := make(chan error, 1)
	go func() {
		for {
			if _, err := s.Watch(ctx, at, rangeOf("q", "r")); err != nil {
				done <- err
				return
			}
		}
	}()
	s.waiting(1)
	cancel()
	wantError(t, "Watch when it is cancelled", <-done, context.Canceled)
	if n := s.Metrics().Watchers; n != 0 {
		t.Errorf("%d watchers are left", n)
	}
}

// testWatchMany: thousands wait, each for a key of its own, and each is woken.
func testWatchMany(t *testing.T, s *store) {
	n := 5000
	if testing.Short() {
		n = 500
	}
	key := func(i int) string { return fmt.Sprintf("w%05d", i) }
	at := s.newest()
	var woken atomic.Int64
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			since := at
			for {
				v, err := s.Watch(s.ctx, since, engine.KeyRange([]byte(key(i))))
				if err != nil {
					t.Errorf("watcher %d: %v", i, err)
					return
				}
				if s.get(v, key(i)) != "-" {
					woken.Add(1)
					return
				}
				since = v
			}
		})
	}
	s.waiting(int64(n))
	const per = 100
	for i := 0; i < n; i += per {
		s.update(func(tx engine.Tx) error {
			for j := range per {
				if err := tx.Put([]byte(key(i+j)), []byte("1")); err != nil {
					return err
				}
			}
			return nil
		})
	}
	wg.Wait()
	if woken.Load() != int64(n) {
		t.Errorf("%d of %d watchers were woken", woken.Load(), n)
	}
}

// testWatchRace passes a ball along a ring of goroutines, each of which looks
// and then watches while others commit: one lost wake-up stops the game.
func testWatchRace(t *testing.T, s *store) {
	const players, rounds = 8, 25
	key := func(n int) string { return fmt.Sprintf("ball%05d", n) }
	ctx, stop := context.WithCancel(s.ctx)
	defer stop()
	var noise, game sync.WaitGroup
	noise.Go(func() {
		rng := rand.New(rand.NewPCG(1, 2))
		for ctx.Err() == nil {
			_, err := s.Update(ctx, plain, func(tx engine.Tx) error {
				return write(tx, fmt.Sprint("noise", rng.IntN(10)), "x")
			})
			if err != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, engine.ErrUnknown) {
				t.Error(err)
			}
		}
	})
	for p := range players {
		game.Go(func() {
			for n := p; n < players*rounds; n += players {
				ranges := []engine.Range{engine.KeyRange([]byte(key(n))), rangeOf("unused", "unuser")}
				if err := s.awaitKey(ctx, key(n), ranges...); err != nil {
					t.Errorf("pass %d: %v", n, err)
					stop()
					return
				}
				s.set(key(n+1), "here")
			}
		})
	}
	s.set(key(0), "here")
	game.Wait()
	stop()
	noise.Wait()
}
