package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// format is the number of this schema.
const format = 1

// head is the indexed part of a key, as an expression: PostgreSQL's index entries
// are at most a third of a page. Keys that agree so far are sorted as they are read.
const head = `substring(key from 1 for 2000)`

// The tables, in a schema of their own. Versions are xid8 (see dialect).
//
//	store       one row: the format, and the version and time at which it was made
//	gate        empty; its lock is the commit lock
//	versions    every version of every key; a null value deletes
//	commits     the provenance of transactions
//	restores    from version on, [low, high) is as it was at target, 0 being empty
//	retentions  for how many seconds [low, high) is kept; later rows win
//	horizons    versions before which [low, high) can no longer be read
//
// A null high bound is after all keys. Texts are bytea, since PostgreSQL's text
// refuses bytes that a Go string may hold. Times are microseconds since 1970.
var tables = []string{
	`create table if not exists store (one int primary key, format int not null, born xid8 not null, born_at int8 not null)`,
	`create table if not exists gate (one int primary key)`,
	`create table if not exists versions (key bytea not null, xid xid8 not null, value bytea)`,
	`create index if not exists versions_key on versions (` + head + `, xid desc)`,
	`create index if not exists versions_xid on versions (xid)`,
	`create table if not exists commits (
		version xid8 primary key, seen text not null, at int8 not null, op bytea not null unique,
		person bytea not null, program bytea not null, task bytea not null, name bytea not null, traced bool not null,
		read int8 not null, written int8 not null, keys bytea[])`,
	`create index if not exists commits_at on commits (at, version)`,
	`create table if not exists restores (version xid8 not null, low bytea not null, high bytea, target xid8 not null)`,
	`create index if not exists restores_version on restores (version)`,
	`create table if not exists retentions (version xid8 not null, low bytea not null, high bytea, seconds int8 not null)`,
	`create table if not exists horizons (low bytea not null, high bytea, version xid8 not null)`,
}

// setUp makes the schema unless it is there, and returns when it was made.
func setUp(ctx context.Context, conn *pgx.Conn, d *dialect, schema string, now time.Time) (born uint64, err error) {
	err = inTx(ctx, conn, func(tx pgx.Tx) error {
		if d.number == "xid8" {
			// Others may be making the same schema.
			if _, err := tx.Exec(ctx, `select pg_advisory_xact_lock(hashtextextended($1, 0))`, "tuplix "+schema); err != nil {
				return err
			}
		}
		if _, err := tx.Exec(ctx, `create schema if not exists `+pgx.Identifier{schema}.Sanitize()); err != nil {
			return err
		}
		for _, statement := range append(tables, d.setUp...) {
			if _, err := tx.Exec(ctx, d.sql(statement)); err != nil {
				return err
			}
		}
		_, err := tx.Exec(ctx, d.sql(`with go as (select 1), `+d.next+`
			insert into store select 1, $1::int, n, $2::int8 from next on conflict (one) do nothing`), format, now.UnixMicro())
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("making the tables: %w", err)
	}
	var found int
	err = conn.QueryRow(ctx, `select format, born from store`).Scan(&found, &born)
	if err == nil && found != format {
		err = fmt.Errorf("schema %s has format %d; this program knows %d: use one that is as new as the store", schema, found, format)
	}
	return born, err
}

func inTx(ctx context.Context, conn *pgx.Conn, fn func(pgx.Tx) error) error {
	return pgx.BeginFunc(ctx, conn, fn)
}
