package enginetest

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/tuplix/tuplix/dbms/engine"
)

// testSnapshots moves money about while readers add it up, at the newest
// version and at past ones.
func testSnapshots(t *testing.T, s *store) {
	const accounts, moves, movers, readers = 10, 40, 3, 3
	key := func(i int) string { return fmt.Sprint("account", i) }
	s.update(func(tx engine.Tx) error {
		for i := range accounts {
			if err := write(tx, key(i), "100"); err != nil {
				return err
			}
		}
		return nil
	})
	var log struct {
		sync.Mutex
		versions []engine.Version
	}
	var moving, reading sync.WaitGroup
	var over atomic.Bool
	for m := range movers {
		moving.Go(func() {
			for i := range moves {
				v, err := s.Update(s.ctx, plain, func(tx engine.Tx) error {
					return move(tx, key((i+m)%accounts), key((i*3+m+1)%accounts), i%7)
				})
				if err != nil {
					t.Error(err)
					return
				}
				log.Lock()
				log.versions = append(log.versions, v)
				log.Unlock()
			}
		})
	}
	for i := range readers {
		reading.Go(func() {
			for n := i; !over.Load(); n++ {
				at := engine.Version("")
				log.Lock()
				if k := len(log.versions); n%2 == 1 && k > 0 {
					at = log.versions[n*7%k]
				}
				log.Unlock()
				s.view(at, func(r engine.Reader) error { return expectSum(t, r, accounts*100) })
			}
		})
	}
	moving.Wait()
	over.Store(true)
	reading.Wait()
	seen := map[engine.Version]bool{}
	for _, v := range log.versions {
		if seen[v] {
			t.Errorf("two transactions have the version %x", v)
		}
		seen[v] = true
		s.view(v, func(r engine.Reader) error { return expectSum(t, r, accounts*100) })
	}
}

// move transfers money between two accounts.
func move(tx engine.Tx, from, to string, amount int) error {
	if from == to {
		return nil
	}
	a, err := number(tx, from)
	if err != nil {
		return err
	}
	b, err := number(tx, to)
	if err != nil {
		return err
	}
	return write(tx, from, fmt.Sprint(a-amount), to, fmt.Sprint(b+amount))
}

func number(r engine.Reader, key string) (n int, err error) {
	value, found, err := r.Get([]byte(key))
	if err != nil || !found {
		return 0, err
	}
	_, err = fmt.Sscan(string(value), &n)
	return n, err
}

func expectSum(t *testing.T, r engine.Reader, want int) error {
	sum, err := sumOf(r, engine.All)
	if err == nil && sum != want {
		t.Errorf("at %x the accounts hold %d, want %d", r.Version(), sum, want)
	}
	return err
}

func sumOf(r engine.Reader, rng engine.Range) (sum int, err error) {
	c := r.Scan(rng, engine.ScanOptions{})
	for c.Next() {
		var n int
		if _, err := fmt.Sscan(string(c.Value()), &n); err != nil {
			return 0, errors.Join(err, c.Close())
		}
		sum += n
	}
	return sum, errors.Join(c.Err(), c.Close())
}

// testViewsDoNotBlock: an Update commits while a View is open, whose state
// stays as it was.
func testViewsDoNotBlock(t *testing.T, s *store) {
	s.set("a", "1")
	s.view("", func(r engine.Reader) error {
		s.set("a", "2", "b", "2")
		s.restore(rangeOf("b", "c"), "")
		got, err := scan(r, engine.All, false)
		if fmt.Sprint(got) != "[a=1]" {
			t.Errorf("an open View sees %q", got)
		}
		_, found, err2 := r.Get([]byte("b"))
		if found {
			t.Error("an open View finds a later key")
		}
		return errors.Join(err, err2)
	})
}

func testCounter(t *testing.T, s *store) {
	const workers, each = 8, 25
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for range each {
				if _, err := s.Update(s.ctx, plain, func(tx engine.Tx) error { return increment(tx, "n") }); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if got := s.get("", "n"); got != fmt.Sprint(workers*each) {
		t.Errorf("%d increments make %s", workers*each, got)
	}
}

// inParallel runs transactions at the same time.
func (s *store) inParallel(fns ...func(engine.Tx) error) {
	s.t.Helper()
	var wg sync.WaitGroup
	for _, fn := range fns {
		wg.Go(func() {
			if _, err := s.Update(s.ctx, plain, fn); err != nil {
				s.t.Error(err)
			}
		})
	}
	wg.Wait()
}

// testWriteSkew: two doctors are on call; each leaves if the other stays.
func testWriteSkew(t *testing.T, s *store) {
	leave := func(me, other string) func(engine.Tx) error {
		return func(tx engine.Tx) error {
			_, there, err := tx.Get([]byte(other))
			if err != nil || !there {
				return err
			}
			return write(tx, me, "-")
		}
	}
	for i := range 60 {
		a, b := fmt.Sprint("a", i), fmt.Sprint("b", i)
		s.set(a, "on call", b, "on call")
		s.inParallel(leave(a, b), leave(b, a))
		if s.get("", a) == "-" && s.get("", b) == "-" {
			t.Fatal("nobody is on call")
		}
	}
}

// testPhantom: a room is booked only while the range of its bookings is empty.
func testPhantom(t *testing.T, s *store) {
	book := func(room string, who int) func(engine.Tx) error {
		return func(tx engine.Tx) error {
			got, err := scanLimit(tx, engine.PrefixRange([]byte(room)), engine.ScanOptions{Limit: 1, Reverse: who%2 == 0}, 1)
			if err != nil || len(got) > 0 {
				return err
			}
			return write(tx, fmt.Sprint(room, who), "booked")
		}
	}
	for i := range 60 {
		room := fmt.Sprintf("room%d/", i)
		s.inParallel(book(room, 1), book(room, 2), book(room, 3))
		s.view("", func(r engine.Reader) error {
			got, err := scan(r, engine.PrefixRange([]byte(room)), false)
			if len(got) != 1 {
				t.Errorf("room %d is booked by %q", i, got)
			}
			return err
		})
	}
}

// testRealTime: who starts after another has returned sees it, and is later.
func testRealTime(t *testing.T, s *store) {
	var mu sync.Mutex
	var returned engine.Version // the newest version that anybody was told
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 30 {
				mu.Lock()
				before := returned
				mu.Unlock()
				if now := s.newest(); now < before {
					t.Errorf("a View is at %x after %x was committed", now, before)
				}
				op := *plain
				op.NoWait = i%2 == 0
				v, err := s.Update(s.ctx, &op, func(tx engine.Tx) error {
					if tx.Version() < before {
						t.Errorf("a transaction builds on %x after %x was committed", tx.Version(), before)
					}
					return write(tx, fmt.Sprint("k", w), fmt.Sprint(i))
				})
				if err != nil || v <= before {
					t.Errorf("version %x after %x; %v", v, before, err)
				}
				mu.Lock()
				returned = max(returned, v)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
}
