package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/engine/embedded"
	"github.com/tuplix/tuplix/dbms/engine/postgres/pgtest"
	"github.com/tuplix/tuplix/dbms/table"
	"github.com/tuplix/tuplix/dbms/txn"
)

// item is the row that all stores hold: about 100 bytes.
type item struct {
	ID      uint64 `table:"key"`
	Name    string
	Owner   uint64
	Size    int64
	Payload string
}

// Sizes of the part "store".
const (
	storeRows    = 1_000_000
	scanRows     = 100_000
	fewRows      = 20_000 // of the table whose rows have old versions
	oldVersions  = 100
	storeMemory  = 512 << 20 // bytes, for caches and memtables
	storeClients = 64
	loadedAtOnce = 1000 // rows in a transaction while loading
	firstNew     = 1 << 40
)

// makeItem is a row whose text does not compress away.
func makeItem(id uint64) item {
	r := rand.New(rand.NewPCG(id, 1))
	payload := make([]byte, 64)
	for i := range payload {
		payload[i] = 'a' + byte(r.IntN(26))
	}
	return item{ID: id, Name: fmt.Sprintf("item %d", id), Owner: id % 1000, Size: int64(r.IntN(1 << 20)), Payload: string(payload)}
}

// newItem is a row of the same size without random text, made in no time.
func newItem(id uint64) item {
	const payload = "0123456789abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqr"
	return item{ID: id, Name: "item, inserted", Owner: id * 2654435761 % 1000, Size: int64(id), Payload: payload}
}

// Rows as one would write them to Pebble by hand: the key is eight bytes behind
// the number of a table, the value fixed numbers and then texts.

func rawKey(b []byte, id uint64) []byte { return binary.BigEndian.AppendUint64(append(b, 1, 1), id) }

func (r *item) encode(b []byte) []byte {
	b = binary.LittleEndian.AppendUint64(b, r.Owner)
	b = binary.LittleEndian.AppendUint64(b, uint64(r.Size))
	b = append(binary.AppendUvarint(b, uint64(len(r.Name))), r.Name...)
	return append(b, r.Payload...)
}

func (r *item) decode(key, b []byte) error {
	if len(key) != 10 || len(b) < 17 {
		return errors.New("short row")
	}
	r.ID = binary.BigEndian.Uint64(key[2:])
	r.Owner, r.Size = binary.LittleEndian.Uint64(b), int64(binary.LittleEndian.Uint64(b[8:]))
	n, k := binary.Uvarint(b[16:])
	if k <= 0 || n > uint64(len(b)-16-k) {
		return errors.New("bad name")
	}
	b = b[16+k:]
	r.Name, r.Payload = string(b[:n]), string(b[n:])
	return nil
}

// world has the stores, each made when it is first asked for.
type world struct {
	ctx context.Context
	dir string
	log io.Writer

	ours      *ourStore
	raw       *pebble.DB
	rawNext   atomic.Uint64 // the last key in Pebble
	few       *fewStore
	tails     *tailStore
	queues    map[string]*queueStore
	restoring map[uint64]*restoreStore
	sqlite    *sqlStore
	postgres  *sqlStore
	server    *pgtest.Server
	dump      string // file made by pg_dump
	closers   []func() error
}

func (w *world) close() error {
	var errs []error
	for i := len(w.closers) - 1; i >= 0; i-- {
		errs = append(errs, w.closers[i]())
	}
	return errors.Join(errs...)
}

// settle has done what other figures have left to do in the background.
func (w *world) settle() error {
	var errs []error
	if w.ours != nil {
		errs = append(errs, w.ours.engine.Compact(w.ctx))
	}
	if w.raw != nil {
		errs = append(errs, compact(w.ctx, w.raw))
	}
	return errors.Join(errs...)
}

func compact(ctx context.Context, db *pebble.DB) error {
	if err := db.Flush(); err != nil {
		return err
	}
	return db.Compact(ctx, []byte{0}, []byte{0xff}, true)
}

func (w *world) path(name string) string { return filepath.Join(w.dir, name) }

// loading says what takes long before a figure is first measured.
func (w *world) loading(what string) { fmt.Fprintln(w.log, "  loading", what) }

// op is an operation that does not wait for the disk.
func op(name string) *engine.Op {
	return &engine.Op{User: "bench", Program: "bench", Name: name, NoWait: true}
}

func durable(name string) *engine.Op {
	o := op(name)
	o.NoWait = false
	return o
}

// ourStore is a store of ours with the tables of the benchmark.
type ourStore struct {
	engine  *embedded.Engine
	db      *table.DB
	items   *table.Table[item]
	indexed *table.Table[item] // as items, with a secondary index
	next    atomic.Uint64      // the last key of those inserted
}

// openEngine makes a store in a directory of its own.
func (w *world) openEngine(name string, o embedded.Options) (*embedded.Engine, error) {
	o.Memory = storeMemory
	e, err := embedded.Open(vfs.Default, w.path(name), o)
	if err == nil {
		w.closers = append(w.closers, func() error {
			if err := e.Close(); !errors.Is(err, engine.ErrClosed) {
				return err
			}
			return nil // it was opened again
		})
	}
	return e, err
}

func (w *world) openOurs(name string, o embedded.Options) (*ourStore, error) {
	e, err := w.openEngine(name, o)
	if err != nil {
		return nil, err
	}
	s := &ourStore{engine: e, items: table.Declare[item]("item"), indexed: table.Declare[item]("indexed")}
	s.next.Store(firstNew)
	s.indexed.Index("owner", "owner")
	s.db, err = table.Open(w.ctx, txn.New(e), op("open"), s.items, s.indexed)
	return s, err
}

// eachBatch runs fn for the numbers below n, some in a transaction.
func eachBatch(ctx context.Context, db *table.DB, name string, n uint64, fn func(tx *table.Tx, id uint64) error) error {
	for from := uint64(0); from < n; from += loadedAtOnce {
		_, err := db.Update(ctx, op(name), func(tx *table.Tx) error {
			for id := from; id < min(from+loadedAtOnce, n); id++ {
				if err := fn(tx, id); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// load puts n rows into the table of items.
func (s *ourStore) load(ctx context.Context, n uint64) error {
	err := eachBatch(ctx, s.db, "load", n, func(tx *table.Tx, id uint64) error {
		row := makeItem(id)
		return s.items.Insert(tx, &row)
	})
	if err != nil {
		return err
	}
	return s.engine.Compact(ctx)
}

// replace gives each of n rows a new version.
func (s *ourStore) replace(ctx context.Context, n uint64) error {
	return eachBatch(ctx, s.db, "replace", n, s.bump)
}

// bump reads a row and writes it with another size.
func (s *ourStore) bump(tx *table.Tx, id uint64) error {
	row, err := s.items.Get(tx, id)
	if err != nil {
		return err
	}
	row.Size++
	return s.items.Update(tx, &row)
}

// version is the newest.
func version(ctx context.Context, db *table.DB) (v engine.Version, err error) {
	err = db.View(ctx, func(tx *table.Tx) error {
		v = tx.Version()
		return nil
	})
	return v, err
}

// store returns our store with a million rows.
func (w *world) store() (*ourStore, error) {
	if w.ours != nil {
		return w.ours, nil
	}
	w.loading("our store")
	s, err := w.openOurs("ours", embedded.Options{})
	if err == nil {
		err = s.load(w.ctx, storeRows)
	}
	if err == nil {
		w.ours = s
	}
	return s, err
}

// pebble returns a Pebble with a million rows, opened as our store opens its own.
func (w *world) pebble() (*pebble.DB, error) {
	if w.raw != nil {
		return w.raw, nil
	}
	w.loading("Pebble")
	options := embedded.PebbleOptions(vfs.Default, w.path("pebble"), embedded.Options{Memory: storeMemory})
	options.Logger = quiet{w}
	db, err := pebble.Open(w.path("pebble"), options)
	if err != nil {
		return nil, err
	}
	w.closers = append(w.closers, db.Close)
	for from := uint64(0); from < storeRows; from += loadedAtOnce {
		b := db.NewBatch()
		for id := from; id < from+loadedAtOnce; id++ {
			row := makeItem(id)
			if err := b.Set(rawKey(nil, id), row.encode(nil), nil); err != nil {
				return nil, err
			}
		}
		if err := errors.Join(b.Commit(pebble.NoSync), b.Close()); err != nil {
			return nil, err
		}
	}
	w.raw = db
	w.rawNext.Store(firstNew)
	return db, compact(w.ctx, db)
}

// quiet passes on only what is wrong in Pebble.
type quiet struct{ *world }

func (quiet) Infof(string, ...any) {}
func (q quiet) Errorf(format string, args ...any) {
	fmt.Fprintf(q.log, "Pebble: "+format+"\n", args...)
}
func (q quiet) Fatalf(format string, args ...any) { panic(fmt.Sprintf("Pebble: "+format, args...)) }
