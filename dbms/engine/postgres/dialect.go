package postgres

import "strings"

// dialect is what servers that speak PostgreSQL's protocol do differently. The
// statements of this package are written in PostgreSQL's own.
type dialect struct {
	name string

	// number is the type of versions in columns.
	number string

	// setUp are statements, each of which may be repeated, that make what this
	// dialect needs besides the tables.
	setUp []string

	// begin opens the transaction that commits: from then on, until it ends,
	// no other one of this store can, and what it reads is the newest state.
	begin []string

	// next is the version of the transaction that commits, in a WITH clause of
	// its own that yields one row, n, if the table "go" has one.
	next string

	// seen is evidence that is stored with each commit, for Check; and unseen
	// finds commits whose evidence says that they did not come after the one
	// before. Empty: there is none.
	seen, unseen string

	// flush makes all that was committed before it durable, in a transaction of
	// its own. Empty: a commit is durable when it returns.
	flush string

	// notify announces a commit to those who listen. Empty: they must look.
	notify string

	// session are settings of every connection.
	session map[string]string
}

// dialects in the order in which a server's version() is matched.
var dialects = []*dialect{&cockroach, &yugabyte, &postgres}

// dialectOf picks by what the server says of itself.
func dialectOf(version string) *dialect {
	for _, d := range dialects {
		if strings.Contains(version, d.name) {
			return d
		}
	}
	return nil
}

// sql translates a statement.
func (d *dialect) sql(text string) string { return strings.ReplaceAll(text, "xid8", d.number) }

// postgres is PostgreSQL 15 or later.
//
// A version is the id of a transaction. The gate is locked before the
// transaction takes its snapshot and before it has an id, until it has
// committed; so ids are in the order of commits, and the snapshot after the
// commit of x, as far as this store's rows go, is exactly the ids up to x.
//
// Connections do not wait for the log to be flushed (synchronous_commit is off),
// lest the gate be locked for so long. The flush comes afterwards, and the server
// makes it one for many: a message of no meaning is logged, synchronously.
var postgres = dialect{
	name:   "PostgreSQL",
	number: "xid8",
	begin: []string{
		`begin isolation level serializable`,
		`lock table gate in exclusive mode`,
	},
	next: `next as (select pg_current_xact_id() as n from go)`,
	seen: `pg_current_snapshot()::text`,
	unseen: `select version::text from (select version, seen, lag(version) over (order by version) as previous from commits) c
		where previous is not null and not pg_visible_in_snapshot(previous, seen::pg_snapshot)`,
	flush:  `with s as (select set_config('synchronous_commit', 'on', true)) select pg_logical_emit_message(true, 'tuplix', '') from s`,
	notify: `select count(pg_notify($1, version::text)) from made`,
	session: map[string]string{
		"synchronous_commit": "off",
		"enable_seqscan":     "off", // new tables have no statistics, and every statement an index
		"jit":                "off",
		"plan_cache_mode":    "force_generic_plan", // planning the commit anew costs as much as it
	},
}
