package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/tuplix/tuplix/dbms/engine/postgres/pgtest"
	services "github.com/tuplix/tuplix/services/system"
	"github.com/tuplix/tuplix/services/task"
)

// A queue as one makes it of a table of PostgreSQL: a worker takes the first row
// that nobody else has locked.
const (
	sqlQueue = `create table task (id bigserial primary key, queue text not null, program text not null, state text not null,
		priority int not null, submitted timestamptz not null default now(), started timestamptz, ended timestamptz);
		create index ready on task (queue, priority desc, id) where state = 'ready'`
	sqlSubmit = `insert into task (queue, program, state, priority) values ('default', 'empty', 'ready', 0)`
	sqlClaim  = `update task set state = 'running', started = now() where id = (select id from task
		where queue = 'default' and state = 'ready' order by priority desc, id limit 1 for update skip locked) returning id`
	sqlLock = `select id from task where queue = 'default' and state = 'ready' order by priority desc, id limit 1 for update skip locked`
	sqlNext = `with ended as (update task set state = 'done', ended = now() where id = any($1::bigint[])),
		taken as (select id from task where queue = 'default' and state = 'ready' order by priority desc, id limit $2 for update skip locked)
		update task set state = 'running', started = now() from taken where task.id = taken.id returning task.id`
	sqlComplete = `update task set state = 'done', ended = now() where id = $1`
)

// tasksOurs has clients submit a task and wait for its end. The submission, that it
// was taken, and its end are each on the disk before what follows: tasks of the program
// must not be run twice, so they begin when it is durable that they were taken.
func tasksOurs(ctx context.Context) (float64, error) {
	return tasksWaitedFor(ctx, storeClients, task.Program{Name: "empty", OnCrash: task.NotTwice})
}

// tasksEnded is the same for tasks that may be run again after a crash: that they were
// taken need not be on the disk before they begin, but submission and end are when the
// client hears of them.
func tasksEnded(ctx context.Context) (float64, error) {
	return tasksWaitedFor(ctx, taskOwners, task.Program{Name: "empty"})
}

func tasksWaitedFor(ctx context.Context, clients int, program task.Program) (perSecond float64, err error) {
	err = onDisk(func(fs vfs.FS) error {
		return withProgram(ctx, fs, program, func(*task.Context) {}, func(s *services.System) error {
			return withWorker(ctx, s, func() error {
				perSecond, err = concurrently(clients, func() error {
					id, err := s.Task.Submit(ctx, task.Request{Program: "empty"})
					if err != nil {
						return err
					}
					end, err := s.Task.Wait(ctx, id)
					if err == nil && end.State != task.Done {
						err = fmt.Errorf("task %d is %s", id, end.State)
					}
					return err
				})
				return err
			})
		})
	})
	return perSecond, err
}

// withQueue runs fn with a queue in PostgreSQL, and connections for as many clients as
// it serves best.
func withQueue(ctx context.Context, fn func(db *sql.DB) error) (err error) {
	server, err := pgtest.Start("fsync=on", "full_page_writes=on", fmt.Sprintf("shared_buffers=%dMB", storeMemory/2>>20), "max_wal_size=4GB")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Stop()) }()
	s, err := openPostgres(server.URL)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.db.Close()) }()
	s.db.SetMaxOpenConns(storeClients)
	s.db.SetMaxIdleConns(storeClients)
	if _, err := s.db.ExecContext(ctx, sqlQueue); err != nil {
		return err
	}
	return fn(s.db)
}

// tasksPostgres has clients submit, claim and complete tasks, each in a
// transaction that waits for the disk.
func tasksPostgres(ctx context.Context) (perSecond float64, err error) {
	err = withQueue(ctx, func(db *sql.DB) error {
		perSecond, err = concurrently(storeClients, func() error {
			if _, err := db.ExecContext(ctx, sqlSubmit); err != nil {
				return err
			}
			id, err := claimRow(ctx, db)
			if err != nil {
				return err
			}
			_, err = db.ExecContext(ctx, sqlComplete, id)
			return err
		})
		return err
	})
	return perSecond, err
}

// tasksWithin has clients submit a task each, and run one within the transaction
// that completes it: the lock of its row is the claim, so a crash gives it back.
func tasksWithin(ctx context.Context) (perSecond float64, err error) {
	err = withQueue(ctx, func(db *sql.DB) error {
		perSecond, err = concurrently(storeClients, func() error {
			if _, err := db.ExecContext(ctx, sqlSubmit); err != nil {
				return err
			}
			return runRow(ctx, db)
		})
		return err
	})
	return perSecond, err
}

// runRow runs a task that nobody else runs, if there is one.
func runRow(ctx context.Context, db *sql.DB) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // after a Commit it does nothing
	var id int64
	err = tx.QueryRowContext(ctx, sqlLock).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return nil // those that are there are locked
	}
	if err == nil {
		_, err = tx.ExecContext(ctx, sqlComplete, id)
	}
	if err != nil {
		return err
	}
	return tx.Commit()
}

// tasksInBatches has clients submit tasks, and some workers complete those that they
// have and take as many others by the same statement. A client submits its next task
// when a task has ended, any: that costs PostgreSQL nothing.
func tasksInBatches(ctx context.Context) (perSecond float64, err error) {
	err = withQueue(ctx, func(db *sql.DB) error {
		working, stop := context.WithCancel(ctx)
		ended, more := make(chan struct{}, taskOwners), make(chan struct{}, batchWorkers)
		crew := make([]error, batchWorkers)
		var workers sync.WaitGroup
		for i := range crew {
			workers.Go(func() {
				defer stop() // one that fails would leave its tasks to nobody
				crew[i] = workBatches(working, db, ended, more)
			})
		}
		clients := make(chan struct{}, storeClients-batchWorkers) // who have a connection
		perSecond, err = concurrently(taskOwners, func() error {
			clients <- struct{}{}
			_, err := db.ExecContext(ctx, sqlSubmit)
			<-clients
			select {
			case more <- struct{}{}:
			default: // all workers know
			}
			select {
			case <-ended:
			case <-working.Done():
			}
			return err
		})
		stop()
		workers.Wait()
		return errors.Join(append(crew, err)...)
	})
	return perSecond, err
}

const (
	batchWorkers = 8
	batchRows    = 64
)

// workBatches runs tasks until ctx ends. Where there are none it waits until there are.
func workBatches(ctx context.Context, db *sql.DB, ended chan<- struct{}, more <-chan struct{}) error {
	var has []int64
	for ctx.Err() == nil {
		next, err := nextBatch(ctx, db, has)
		if isDeadlock(err) {
			continue // nothing happened: once more
		}
		if err != nil {
			return unlessEnded(ctx, err)
		}
		for range has {
			ended <- struct{}{}
		}
		has = next
		if len(has) == 0 {
			select {
			case <-more:
			case <-ctx.Done():
			}
		}
	}
	return nil
}

// nextBatch ends some tasks and takes others.
func nextBatch(ctx context.Context, db *sql.DB, has []int64) (next []int64, err error) {
	rows, err := db.QueryContext(ctx, sqlNext, has, batchRows)
	if err != nil {
		return nil, err
	}
	for rows.Next() && err == nil {
		var id int64
		err = rows.Scan(&id)
		next = append(next, id)
	}
	return next, errors.Join(err, rows.Err(), rows.Close())
}

// isDeadlock tells whether PostgreSQL has ended a statement of those that waited for
// each other's rows.
func isDeadlock(err error) bool {
	var state *pgconn.PgError
	return errors.As(err, &state) && state.Code == "40P01"
}

func unlessEnded(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// claimRow claims a task. The one that was found may be gone when its row is
// locked: then the statement returns none, and is run again.
func claimRow(ctx context.Context, db *sql.DB) (id int64, err error) {
	for {
		err = db.QueryRowContext(ctx, sqlClaim).Scan(&id)
		if !errors.Is(err, sql.ErrNoRows) {
			return id, err
		}
	}
}
