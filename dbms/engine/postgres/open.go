package postgres

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tuplix/tuplix/dbms/engine"
)

// Options say how a store is opened. The zero value is sensible.
type Options struct {
	// Schema is the store's name in the database; "" is "tuplix". Several stores
	// may be in one database.
	Schema string

	// Connections is the most that are open at a time, besides the one that
	// listens; 0 is 16.
	Connections int

	// MaxValue is how many bytes a value may have that is written: engine.ValueLimit of
	// it.
	MaxValue int

	// Now is the wall clock that commits are dated with. Nil is time.Now.
	Now func() time.Time

	// CollectEvery is how often what is beyond retention is removed, by one of
	// the machines that have the store open; 0 is every 10 minutes, a negative
	// value never.
	CollectEvery time.Duration

	// Log takes what went wrong in the background. Nil drops it.
	Log func(format string, args ...any)
}

func (o *Options) fill() {
	if o.Schema == "" {
		o.Schema = "tuplix"
	}
	if o.Connections <= 0 {
		o.Connections = 16
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.CollectEvery == 0 {
		o.CollectEvery = 10 * time.Minute
	}
	if o.Log == nil {
		o.Log = func(string, ...any) {}
	}
}

// Open connects to a server by a URL or a list of settings, as libpq takes it,
// and opens the store there, making it if it is new.
func Open(ctx context.Context, url string, o Options) (*Engine, error) {
	o.fill()
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, err
	}
	d, born, err := prepare(ctx, config.ConnConfig.Copy(), &o)
	if err != nil {
		return nil, err
	}
	configure(config.ConnConfig, d, o.Schema)
	config.MaxConns = int32(o.Connections)
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	background, stop := context.WithCancel(context.Background())
	e := &Engine{pool: pool, dialect: d, schema: o.Schema, maxValue: engine.ValueLimit(o.MaxValue), now: o.Now, born: born, stop: stop}
	e.watch = newHub(e, config.ConnConfig, o.Log)
	if _, err := e.refresh(ctx, e); err != nil {
		stop()
		pool.Close()
		return nil, err
	}
	e.watch.seen = e.known.state().newest
	e.wait.Go(func() { e.watch.run(background) })
	if o.CollectEvery > 0 {
		e.wait.Go(func() { e.collectEvery(background, o.CollectEvery, o.Log) })
	}
	return e, nil
}

// prepare finds out what the server is, and makes the tables.
func prepare(ctx context.Context, config *pgx.ConnConfig, o *Options) (d *dialect, born uint64, err error) {
	config.RuntimeParams["search_path"] = pgx.Identifier{o.Schema}.Sanitize()
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, 0, err
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	var version, number string
	if err := conn.QueryRow(ctx, `select version()`).Scan(&version); err != nil {
		return nil, 0, err
	}
	if d = dialectOf(version); d == nil {
		return nil, 0, fmt.Errorf("this server is %q: use PostgreSQL 15 or later, CockroachDB or YugabyteDB", version)
	}
	if d == &postgres {
		if err := conn.QueryRow(ctx, `show server_version_num`).Scan(&number); err != nil {
			return nil, 0, err
		}
		if n, err := strconv.Atoi(number); err != nil || n < 150000 {
			return nil, 0, fmt.Errorf("this server is PostgreSQL %s: use 15 or later", number)
		}
	}
	born, err = setUp(ctx, conn, d, o.Schema, o.Now())
	return d, born, err
}

// configure sets what every connection of the store needs.
func configure(config *pgx.ConnConfig, d *dialect, schema string) {
	config.RuntimeParams["search_path"] = pgx.Identifier{schema}.Sanitize()
	config.RuntimeParams["application_name"] = "tuplix"
	for name, value := range d.session {
		config.RuntimeParams[name] = value
	}
}

// Close implements engine.Engine.
func (e *Engine) Close() error {
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		return engine.ErrClosed
	}
	e.closed = true
	e.mu.Unlock()
	e.watch.close()
	e.calls.Wait()
	e.stop()
	e.wait.Wait()
	err := e.flush(context.Background())
	e.pool.Close()
	return err
}
