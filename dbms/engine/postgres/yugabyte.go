package postgres

// yugabyte is YugabyteDB (YSQL). Nothing has been tested on it unless
// YUGABYTE_URL was set for the tests.
//
// Its code for SQL is PostgreSQL's, but rows are versioned by hybrid time below
// it: pg_current_snapshot and pg_visible_in_snapshot do not tell what a
// transaction sees, and ids of transactions are those of one node. It has no
// lock on a table that all nodes know. So versions are drawn from the one row of
// the table clock, as on CockroachDB, and that row orders the commits.
//
// LISTEN is missing in most of its releases: a Watch looks at the clock every
// 100 ms. Commits are durable when they return.
var yugabyte = dialect{
	name:   "-YB-",
	number: "int8",
	setUp:  clockTable,
	begin: []string{
		`begin isolation level serializable`,
		`select n from clock for update`,
	},
	next: clockNext,
}
