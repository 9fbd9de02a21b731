package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"

	_ "github.com/jackc/pgx/v5/stdlib" // driver "pgx"
	_ "github.com/mattn/go-sqlite3"    // driver "sqlite3"

	"github.com/tuplix/tuplix/dbms/engine/postgres/pgtest"
)

// sqlStore is a peer that is spoken to in SQL.
type sqlStore struct {
	db                     *sql.DB
	get, scan, insert, set string
	sync                   map[bool]string // sets whether commits wait for the disk
	writers                int             // connections that can write at a time
	next                   atomic.Int64    // the last key of those inserted
}

const sqlTable = `create table item (id bigint primary key, name text not null, owner bigint not null, size bigint not null, payload text not null)`

// openSQLite opens a database file with a write-ahead log, as servers use it.
func openSQLite(path string) (*sqlStore, error) {
	db, err := sql.Open("sqlite3", fmt.Sprintf("file:%s?_journal_mode=WAL&_synchronous=FULL&_busy_timeout=60000&_cache_size=-%d", path, storeMemory/2>>10))
	if err != nil {
		return nil, err
	}
	return &sqlStore{
		db: db, writers: 1,
		get:    "select id, name, owner, size, payload from item where id = ?",
		scan:   "select id, name, owner, size, payload from item where id >= ? order by id limit ?",
		insert: "insert into item values (?, ?, ?, ?, ?)",
		set:    "update item set size = size + 1 where id = ?",
		sync:   map[bool]string{true: "pragma synchronous = full", false: "pragma synchronous = off"},
	}, nil
}

// openPostgres connects to a server.
func openPostgres(url string) (*sqlStore, error) {
	db, err := sql.Open("pgx", url)
	if err != nil {
		return nil, err
	}
	return &sqlStore{
		db: db, writers: storeClients,
		get:    "select id, name, owner, size, payload from item where id = $1",
		scan:   "select id, name, owner, size, payload from item where id >= $1 order by id limit $2",
		insert: "insert into item values ($1, $2, $3, $4, $5)",
		set:    "update item set size = size + 1 where id = $1",
		sync:   map[bool]string{true: "set synchronous_commit = on", false: "set synchronous_commit = off"},
	}, nil
}

// load fills the table with n rows.
func (s *sqlStore) load(ctx context.Context, n int) error {
	if _, err := s.db.ExecContext(ctx, sqlTable); err != nil {
		return err
	}
	for from := 0; from < n; from += loadedAtOnce {
		text := new(strings.Builder)
		text.WriteString("insert into item values ")
		for i := from; i < min(from+loadedAtOnce, n); i++ {
			if i > from {
				text.WriteByte(',')
			}
			r := makeItem(uint64(i))
			fmt.Fprintf(text, "(%d,'%s',%d,%d,'%s')", r.ID, r.Name, r.Owner, r.Size, r.Payload)
		}
		if _, err := s.db.ExecContext(ctx, text.String()); err != nil {
			return err
		}
	}
	s.next.Store(firstNew)
	_, err := s.db.ExecContext(ctx, "analyze")
	return err
}

// statement is prepared on a connection of its own.
type statement struct {
	*sql.Stmt
	conn *sql.Conn
}

func (s *sqlStore) prepare(ctx context.Context, synced bool, query string) (*statement, error) {
	c, err := s.db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	st, err := (*sql.Stmt)(nil), error(nil)
	if _, err = c.ExecContext(ctx, s.sync[synced]); err == nil {
		st, err = c.PrepareContext(ctx, query)
	}
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return &statement{st, c}, nil
}

func (s *statement) close() error { return errors.Join(s.Close(), s.conn.Close()) }

// one prepares a statement, and measures what fn does with it.
func (s *sqlStore) one(ctx context.Context, synced bool, query string, fn func(*statement) error) (float64, error) {
	st, err := s.prepare(ctx, synced, query)
	if err != nil {
		return 0, err
	}
	us, err := timed(func() error { return fn(st) })
	return us, errors.Join(err, st.close())
}

// reads measures reads of random rows.
func (s *sqlStore) reads(ctx context.Context) (float64, error) {
	return s.one(ctx, true, s.get, func(st *statement) error {
		return scanItem(st.QueryRowContext(ctx, rand.IntN(storeRows)))
	})
}

func scanItem(from interface{ Scan(...any) error }) error {
	return from.Scan(&sink.ID, &sink.Name, &sink.Owner, &sink.Size, &sink.Payload)
}

// scans measures reads of many rows in order, for each of them.
func (s *sqlStore) scans(ctx context.Context) (float64, error) {
	us, err := s.one(ctx, true, s.scan, func(st *statement) error {
		rows, err := st.QueryContext(ctx, rand.IntN(storeRows-scanRows), scanRows)
		if err != nil {
			return err
		}
		for err == nil && rows.Next() {
			err = scanItem(rows)
		}
		return errors.Join(err, rows.Err(), rows.Close())
	})
	return us / scanRows, err
}

// commits measures durable inserts by many clients, in transactions a second.
func (s *sqlStore) commits(ctx context.Context) (float64, error) {
	idle := make(chan *statement, s.writers)
	for range s.writers {
		st, err := s.prepare(ctx, true, s.insert)
		if err != nil {
			return 0, err
		}
		defer st.close()
		idle <- st
	}
	return concurrently(s.writers, func() error {
		st := <-idle
		defer func() { idle <- st }()
		r := newItem(uint64(s.next.Add(1)))
		_, err := st.ExecContext(ctx, r.ID, r.Name, r.Owner, r.Size, r.Payload)
		return err
	})
}

// procedures measures updates of random rows by one client that does not wait for
// the disk, in transactions a second.
func (s *sqlStore) procedures(ctx context.Context) (float64, error) {
	us, err := s.one(ctx, false, s.set, func(st *statement) error {
		_, err := st.ExecContext(ctx, rand.IntN(storeRows))
		return err
	})
	return 1e6 / us, err
}

// lite returns an SQLite database with a million rows.
func (w *world) lite() (*sqlStore, error) {
	if w.sqlite != nil {
		return w.sqlite, nil
	}
	w.loading("SQLite")
	s, err := openSQLite(w.path("sqlite.db"))
	if err != nil {
		return nil, err
	}
	w.closers = append(w.closers, s.db.Close)
	if err := s.load(w.ctx, storeRows); err != nil {
		return nil, err
	}
	w.sqlite = s
	return s, nil
}

// pg returns a PostgreSQL server with a million rows. It flushes its log, as one
// would have it that keeps data, and is reached by a Unix socket.
func (w *world) pg() (*sqlStore, error) {
	if w.postgres != nil {
		return w.postgres, nil
	}
	w.loading("PostgreSQL")
	server, err := pgtest.Start("fsync=on", "full_page_writes=on", fmt.Sprintf("shared_buffers=%dMB", storeMemory/2>>20),
		"max_wal_size=4GB", "default_transaction_isolation=serializable")
	if err != nil {
		return nil, err
	}
	w.closers = append(w.closers, server.Stop)
	s, err := openPostgres(server.URL)
	if err != nil {
		return nil, err
	}
	w.closers = append(w.closers, s.db.Close)
	if err := s.load(w.ctx, storeRows); err != nil {
		return nil, err
	}
	w.server, w.postgres = server, s
	return s, nil
}

// by makes a measurement of a store that is opened when first asked for.
func by(open func() (*sqlStore, error), measure func(*sqlStore, context.Context) (float64, error), ctx context.Context) (float64, error) {
	s, err := open()
	if err != nil {
		return 0, err
	}
	return measure(s, ctx)
}

func (w *world) readSQLite(ctx context.Context) (float64, error) {
	return by(w.lite, (*sqlStore).reads, ctx)
}

func (w *world) scanSQLite(ctx context.Context) (float64, error) {
	return by(w.lite, (*sqlStore).scans, ctx)
}

func (w *world) commitsSQLite(ctx context.Context) (float64, error) {
	return by(w.lite, (*sqlStore).commits, ctx)
}

func (w *world) readPostgres(ctx context.Context) (float64, error) {
	return by(w.pg, (*sqlStore).reads, ctx)
}

func (w *world) scanPostgres(ctx context.Context) (float64, error) {
	return by(w.pg, (*sqlStore).scans, ctx)
}

func (w *world) commitsPostgres(ctx context.Context) (float64, error) {
	return by(w.pg, (*sqlStore).commits, ctx)
}

func (w *world) proceduresPostgres(ctx context.Context) (float64, error) {
	return by(w.pg, (*sqlStore).procedures, ctx)
}
