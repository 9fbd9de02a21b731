package embedded

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tuplix/tuplix/dbms/engine"
)

// TestBundlePart holds what a part finds against all of its rows, few keys with many rows
// and many with few.
func TestBundlePart(t *testing.T) {
	for _, keys := range []int{1, 3, 50, 5000} {
		rng := rand.New(rand.NewPCG(uint64(keys), 1))
		var p bundlePart
		ends := map[string][]version{}
		for v := version(1); v < 20000; v += 1 + version(rng.IntN(3)) {
			key := fmt.Appendf(nil, "k%d", rng.IntN(keys))
			place := appendHistory(nil, key, v)
			p.add(appendBundled(nil, place, &row{since: v - 1}), place, hash(key))
			ends[string(key)] = append(ends[string(key)], v)
		}
		found := 0
		for _, s := range p.keys {
			found += s.used
		}
		if found != len(ends) {
			t.Fatalf("%d keys, not %d", found, len(ends))
		}
		for range 20000 {
			key := fmt.Appendf(nil, "k%d", rng.IntN(keys+1))
			from := version(rng.IntN(20100))
			want, before := version(0), noVersion
			for _, v := range ends[string(key)] {
				if v >= from {
					want = v
					break
				}
				before = v
			}
			raw, ended := p.find(appendHistory(nil, key, from), hash(key))
			if (raw != nil) != (want != 0) || raw != nil && readVersion(raw) != want-1 || ended != before {
				t.Fatalf("%d keys: %s from %d: row %x and %v; want %v and %v", keys, key, from, raw, ended, want, before)
			}
		}
		all := p.sorted()
		for i := 1; i < len(all); i++ {
			_, a, _ := p.stored(p.row(all[i-1].number))
			_, b, _ := p.stored(p.row(all[i].number))
			if string(a) >= string(b) {
				t.Fatalf("%d keys: %q is sorted before %q", keys, a, b)
			}
		}
		if len(all) != p.count {
			t.Fatalf("%d rows are sorted of %d", len(all), p.count)
		}
	}
}

// TestBundleSort sorts keys that begin alike for long, keys that begin others, and zeros,
// beside a sort that compares whole keys.
func TestBundleSort(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 1))
	part := func(alphabet, long int) string {
		b := make([]byte, rng.IntN(long+1))
		for i := range b {
			b[i] = byte(rng.IntN(alphabet))
		}
		return string(b)
	}
	starts := []string{"", "\x00", "table of rows\x00\x00\x07", strings.Repeat("a", 40)}
	for _, rows := range []int{0, 1, 2, 17, 3000} {
		var p bundlePart
		var want []string
		seen := map[string]bool{}
		for v := range version(rows) {
			key := starts[rng.IntN(len(starts))] + part(2, 30) + part(256, 4)
			place := appendHistory(nil, []byte(key), v)
			if seen[string(place)] {
				continue
			}
			seen[string(place)] = true
			p.add(appendBundled(nil, place, &row{}), place, hash([]byte(key)))
			want = append(want, string(place))
		}
		slices.Sort(want)
		var got []string
		for _, r := range p.sorted() {
			_, key, _ := p.stored(p.row(r.number))
			got = append(got, string(key))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%d rows are sorted as %q, want %q", rows, got, want)
		}
	}
}

// TestBundleChain reads the past of one key with very many rows in few steps.
func TestBundleChain(t *testing.T) {
	var p bundlePart
	key := []byte("k")
	const rows = 1 << 15
	for v := version(1); v <= rows; v++ {
		place := appendHistory(nil, key, v)
		p.add(appendBundled(nil, place, &row{since: v - 1}), place, hash(key))
	}
	begun := time.Now()
	for v := version(1); v <= rows; v++ {
		if raw, _ := p.find(appendHistory(nil, key, v), hash(key)); readVersion(raw) != v-1 {
			t.Fatalf("at %d there is %x", v, raw)
		}
	}
	// One after another would be 500 million steps.
	if took := time.Since(begun); took > time.Minute {
		t.Errorf("it took %v", took)
	}
}

func FuzzBundle(f *testing.F) {
	b := []byte{bundleFormat}
	for _, key := range []string{"a", "b\x00", ""} {
		b = appendBundled(b, appendHistory(nil, []byte(key), 7), &row{since: 5, value: []byte("v")})
	}
	f.Add(b)
	f.Add(b[:len(b)-1])
	f.Fuzz(func(t *testing.T, b []byte) {
		p := &bundles{open: &bundlePart{}}
		if p.load(b, 9) != nil {
			return
		}
		again := []byte{bundleFormat}
		for n := range p.open.count {
			stored, key, raw := p.open.stored(p.open.row(uint32(n + 1)))
			again = append(again, stored...)
			group, until, err := splitHistory(key)
			if err != nil {
				t.Fatal(err)
			}
			plain, err := appendUnescaped(nil, group)
			if err != nil {
				t.Fatal(err)
			}
			got, found, _ := p.find(nil, appendHistory(nil, plain, until), hash(plain))
			if _, err := parseRow(raw); err != nil || !found || len(got) == 0 {
				t.Fatalf("%q: %v, found %v", key, err, found)
			}
		}
		if string(again) != string(b) {
			t.Fatalf("%x is written as %x", b, again)
		}
	})
}

// smallTables are options by which a few rows make a table.
func smallTables() Options {
	return Options{Memory: MinMemory, NoBackground: true, tune: func(p *pebble.Options) { p.MemTableSize = 64 << 10 }}
}

// TestUnpackWhileReading has clients replace rows, so that tables are made of history all the
// time, while others read the past in each of the ways there are.
func TestUnpackWhileReading(t *testing.T) {
	e, err := Open(vfs.NewMem(), "store", smallTables())
	must(t, err)
	const keys = 40
	write := func(i int) engine.Version {
		v, err := e.Update(ctx, &engine.Op{NoWait: true}, func(tx engine.Tx) error {
			for k := range keys {
				if (k+i)%4 != 0 {
					continue
				}
				if i%7 == 3 {
					if err := tx.Delete(fmt.Appendf(nil, "k%02d", k)); err != nil {
						return err
					}
				} else if err := tx.Put(fmt.Appendf(nil, "k%02d", k), fmt.Appendf(nil, "%d", i)); err != nil {
					return err
				}
			}
			return nil
		})
		must(t, err)
		return v
	}
	var mu sync.Mutex
	var versions []engine.Version
	states := []map[string]string{{}}
	const rounds = 600
	versions = append(versions, engine.Version(e.last.Load().external()))
	done := make(chan struct{})
	var readers sync.WaitGroup
	for r := range 3 {
		readers.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(r), 3))
			for {
				select {
				case <-done:
					return
				default:
				}
				mu.Lock()
				i := rng.IntN(len(versions))
				if rng.IntN(2) == 0 {
					i = max(len(versions)-1-rng.IntN(20), 0)
				}
				v, want := versions[i], states[i]
				mu.Unlock()
				if err := readPast(e, rng, v, want, keys); err != nil {
					t.Errorf("transaction %d: %v", i, err)
					return
				}
			}
		})
	}
	for i := range rounds {
		next := map[string]string{}
		for k, v := range states[len(states)-1] {
			next[k] = v
		}
		for k := range keys {
			switch {
			case (k+i)%4 != 0:
			case i%7 == 3:
				delete(next, fmt.Sprintf("k%02d", k))
			default:
				next[fmt.Sprintf("k%02d", k)] = fmt.Sprint(i)
			}
		}
		v := write(i)
		mu.Lock()
		versions, states = append(versions, v), append(states, next)
		mu.Unlock()
	}
	close(done)
	readers.Wait()
	e.bundles.jobs.Wait()
	m := e.db.Metrics()
	if m.Ingest.Count == 0 {
		t.Error("no table of history was made")
	}
	must(t, check(e))
	must(t, e.Close())
}

// readPast reads the store at a version in one of several ways.
func readPast(e *Engine, rng *rand.Rand, at engine.Version, want map[string]string, keys int) error {
	way := rng.IntN(3)
	return e.View(ctx, at, func(r engine.Reader) error {
		if way == 0 {
			for range 10 {
				key := fmt.Sprintf("k%02d", rng.IntN(keys))
				value, found, err := r.Get([]byte(key))
				if err != nil {
					return err
				}
				if w, there := want[key]; there != found || string(value) != w {
					return fmt.Errorf("%s is %q, %v; want %q, %v", key, value, found, w, there)
				}
			}
			return nil
		}
		c := r.Scan(engine.All, engine.ScanOptions{Reverse: way == 2})
		n := 0
		for ; c.Next(); n++ {
			if w, there := want[string(c.Key())]; !there || string(c.Value()) != w {
				_ = c.Close()
				return fmt.Errorf("a scan, reverse %v, shows %s as %q; want %q, %v", way == 2, c.Key(), c.Value(), w, there)
			}
		}
		if err := errors.Join(c.Err(), c.Close()); err != nil {
			return err
		}
		if n != len(want) {
			return fmt.Errorf("a scan, reverse %v, shows %d rows, not %d", way == 2, n, len(want))
		}
		return nil
	})
}

// TestUnpackTwice opens a store of which the rows are at their keys, and the bundles, too: as
// a crash leaves it between the two steps.
func TestUnpackTwice(t *testing.T) {
	fs := vfs.NewMem()
	e, err := Open(fs, "store", smallTables())
	must(t, err)
	var versions []engine.Version
	for i := range 300 {
		v, err := e.Update(ctx, nil, func(tx engine.Tx) error { return tx.Put([]byte("k"), fmt.Append(nil, i)) })
		must(t, err)
		versions = append(versions, v)
	}
	must(t, e.unpack())
	part := e.bundles.freeze()
	e.bundles.thaw(true)
	again := []byte{bundleFormat}
	for i := 1; i < len(versions); i++ {
		until, err := e.internal(versions[i])
		must(t, err)
		since, err := e.internal(versions[i-1])
		must(t, err)
		r := row{since: since, value: fmt.Append(nil, i-1)}
		again = appendBundled(again, appendHistory(nil, []byte("k"), until), &r)
	}
	if part.count != 0 {
		t.Fatalf("%d rows are pending", part.count)
	}
	must(t, e.db.Set(bundleKey(e.last.Load()), again, pebble.Sync))
	must(t, e.Close())

	e, err = Open(fs, "store", smallTables())
	must(t, err)
	if n := e.bundles.open.count; n != len(versions)-1 {
		t.Errorf("%d rows are pending, not %d", n, len(versions)-1)
	}
	for range 2 {
		for i, v := range versions {
			must(t, e.View(ctx, v, func(r engine.Reader) error {
				value, _, err := r.Get([]byte("k"))
				if string(value) != fmt.Sprint(i) {
					t.Errorf("transaction %d shows %q", i, value)
				}
				return err
			}))
		}
		must(t, check(e)) // which unpacks
	}
	n := 0
	must(t, e.View(ctx, "", func(r engine.Reader) error {
		for _, err := range r.History([]byte("k")) {
			if n++; err != nil {
				return err
			}
		}
		return nil
	}))
	if n != len(versions) {
		t.Errorf("%d versions in history, not %d", n, len(versions))
	}
	must(t, e.Close())
}

// TestUnpackFails has no file made for tables of history: rows come to their keys all the same.
func TestUnpackFails(t *testing.T) {
	fs := &noLoadFS{FS: vfs.NewMem()}
	e, err := Open(fs, "store", smallTables())
	must(t, err)
	for i := range 2000 {
		_, err := e.Update(ctx, &engine.Op{NoWait: true}, func(tx engine.Tx) error {
			return tx.Put(fmt.Appendf(nil, "%d", i%100), make([]byte, 100))
		})
		must(t, err)
	}
	must(t, check(e))
	if fs.tried == 0 {
		t.Error("nobody tried to make a table")
	}
	must(t, e.Close())
}

type noLoadFS struct {
	vfs.FS
	mu    sync.Mutex
	tried int
}

var errNoLoads = errors.New("no such files here")

func (f *noLoadFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if strings.Contains(name, loadPrefix) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.tried++
		return nil, errNoLoads
	}
	return f.FS.Create(name, c)
}

// TestFirstFormat opens a store of the format that had no bundles, and has older programs
// refuse it from then on.
func TestFirstFormat(t *testing.T) {
	fs := vfs.NewMem()
	e, err := Open(fs, "store", Options{NoBackground: true})
	must(t, err)
	old := appendFormat(nil, e.born)
	old[len(formatMagic)] = formatFirst
	must(t, e.db.Set(metaKey(metaFormat), old, nil))
	must(t, e.Close())
	e, err = Open(fs, "store", Options{NoBackground: true})
	must(t, err)
	b, err := getMeta(e.db, metaFormat)
	must(t, err)
	if b[len(formatMagic)] != formatNow {
		t.Errorf("it has format %d", b[len(formatMagic)])
	}
	must(t, e.Close())
}
