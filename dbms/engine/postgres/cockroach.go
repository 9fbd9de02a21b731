package postgres

// cockroach is CockroachDB. Nothing has been tested on it unless COCKROACH_URL
// was set for the tests.
//
// It has neither ids of transactions as SQL values (xid8) nor snapshots of them
// (pg_current_snapshot, pg_visible_in_snapshot). Versions are numbers instead
// that each commit draws from the one row of the table clock. Its transactions
// are always serializable, and those that touch the same row, as all commits do
// here, are ordered by it.
//
// cluster_logical_timestamp(), CockroachDB's own name for the moment of a
// commit, would spare that row, and AS OF SYSTEM TIME the rows of the past. They
// are not used: two transactions that touch nothing in common may have the same
// timestamp, and the seam promises an order in which every transaction has a
// place of its own; and what the server keeps of the past ends with its
// gc.ttlseconds, for all tables alike, not where Retain says.
//
// There is no LISTEN: a Watch looks at the clock every 100 ms. Commits are
// durable when they return.
var cockroach = dialect{
	name:   "CockroachDB",
	number: "int8",
	setUp:  clockTable,
	begin: []string{
		`begin transaction isolation level serializable`,
		`select n from clock for update`,
	},
	next: clockNext,
}

// The clock of servers without ids of transactions that SQL can see.
var clockTable = []string{
	`create table if not exists clock (one int primary key, n int8 not null)`,
	`insert into clock values (1, 1) on conflict (one) do nothing`,
}

const clockNext = `next as (update clock set n = n + 1 where one = (select count(*) from go) returning n)`
