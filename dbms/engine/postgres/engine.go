package postgres

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tuplix/tuplix/dbms/engine"
)

// Engine implements engine.Engine on a schema of a server.
type Engine struct {
	pool     *pgxpool.Pool
	dialect  *dialect
	schema   string
	maxValue int // bytes
	now      func() time.Time
	born     uint64 // version of the empty store
	known    known
	shown    atomic.Uint64 // the newest version that somebody may tell of
	flushed  atomic.Uint64 // of those, what was durable by the last flush
	watch    *hub
	counts   counts

	mu     sync.Mutex
	closed bool
	calls  sync.WaitGroup     // under way; none is added once closed is set
	stop   context.CancelFunc // ends what runs in the background
	wait   sync.WaitGroup     // for it
}

// raise makes n at least v.
func raise(n *atomic.Uint64, v uint64) {
	for old := n.Load(); old < v && !n.CompareAndSwap(old, v); {
		old = n.Load()
	}
}

// counts are the metrics that this side can tell.
type counts struct {
	commits, conflicts, replays, syncs, syncTime atomic.Int64
	read, written, wakeups                       atomic.Int64
	versions, records                            atomic.Int64 // collected
}

// encode makes a version of its number: 8 bytes, the most significant first.
func encode(n uint64) engine.Version {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], n)
	return engine.Version(b[:])
}

// decode is the number of a version, which must not be later than newest.
func (e *Engine) decode(v engine.Version, newest uint64) (uint64, error) {
	if len(v) != 8 {
		return 0, fmt.Errorf("%w: %d bytes instead of 8", engine.ErrVersion, len(v))
	}
	n := binary.BigEndian.Uint64([]byte(v))
	switch {
	case n > newest:
		return 0, fmt.Errorf("%w: it is later than the newest", engine.ErrVersion)
	case n < e.born:
		return 0, fmt.Errorf("%w: it is from before the store was made", engine.ErrTooOld)
	}
	return n, nil
}

// enter keeps the engine open until leave.
func (e *Engine) enter() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return engine.ErrClosed
	}
	e.calls.Add(1)
	return nil
}

func (e *Engine) leave() { e.calls.Done() }

// View implements engine.Engine.
func (e *Engine) View(ctx context.Context, at engine.Version, fn func(engine.Reader) error) error {
	if err := e.enter(); err != nil {
		return err
	}
	defer e.leave()
	r, err := e.reader(ctx, at)
	if err != nil {
		return err
	}
	raise(&e.shown, r.at)
	return fn(r)
}

// reader returns a Reader of a version, zero being the newest.
func (e *Engine) reader(ctx context.Context, at engine.Version) (*reader, error) {
	s := e.known.state()
	if at == "" || at > encode(s.newest) {
		var err error
		err = again(ctx, func() error { s, err = e.refresh(ctx, e); return err })
		if err != nil {
			return nil, err
		}
	}
	n := s.newest
	if at != "" {
		var err error
		if n, err = e.decode(at, s.newest); err != nil {
			return nil, err
		}
	}
	return &reader{e: e, ctx: ctx, db: e, patient: true, at: n, restores: s.upTo(n)}, nil
}

// server is what statements are sent to: a connection, or any of the pool.
type server interface {
	SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults
}

// SendBatch sends statements by any connection.
func (e *Engine) SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults {
	return e.pool.SendBatch(ctx, b)
}

// ask runs one or more statements in one round trip. Each answers row by row to
// the function beside it.
func (e *Engine) ask(ctx context.Context, db server, questions ...question) error {
	var b pgx.Batch
	for _, q := range questions {
		b.Queue(e.dialect.sql(q.sql), q.args...)
	}
	results := db.SendBatch(ctx, &b)
	for _, q := range questions {
		if err := q.read(results); err != nil {
			_ = results.Close() // says the same once more
			return e.explain(ctx, err)
		}
	}
	return e.explain(ctx, results.Close())
}

// question is a statement and what to do with each row of the answer.
type question struct {
	sql   string
	args  []any
	row   func(pgx.Rows) error
	begin func() // before the first row, also when it is asked again; may be nil
}

func (q *question) read(results pgx.BatchResults) error {
	rows, err := results.Query()
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if q.row == nil {
			continue
		}
		if err := q.row(rows); err != nil {
			return callerError{err}
		}
	}
	return rows.Err()
}
