package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2/vfs"

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
	sqlComplete = `update task set state = 'done', ended = now() where id = $1`
)

// tasksOurs has clients submit a task and wait for its end. The submission, that it
// was taken, and its end are each on the disk before what follows: tasks of the program
// must not be run twice, so they begin when it is durable that they were taken.
func tasksOurs(ctx context.Context) (perSecond float64, err error) {
	err = onDisk(func(fs vfs.FS) error {
		program := task.Program{Name: "empty", OnCrash: task.NotTwice}
		return withProgram(ctx, fs, program, func(*task.Context) {}, func(s *services.System) error {
			return withWorker(ctx, s, func() error {
				perSecond, err = concurrently(storeClients, func() error {
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

// tasksPostgres has clients submit, claim and complete tasks, each in a
// transaction that waits for the disk.
func tasksPostgres(ctx context.Context) (perSecond float64, err error) {
	server, err := pgtest.Start("fsync=on", "full_page_writes=on", fmt.Sprintf("shared_buffers=%dMB", storeMemory/2>>20), "max_wal_size=4GB")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, server.Stop()) }()
	s, err := openPostgres(server.URL)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, s.db.Close()) }()
	s.db.SetMaxOpenConns(storeClients)
	s.db.SetMaxIdleConns(storeClients)
	if _, err := s.db.ExecContext(ctx, sqlQueue); err != nil {
		return 0, err
	}
	return concurrently(storeClients, func() error {
		if _, err := s.db.ExecContext(ctx, sqlSubmit); err != nil {
			return err
		}
		id, err := claimRow(ctx, s.db)
		if err != nil {
			return err
		}
		_, err = s.db.ExecContext(ctx, sqlComplete, id)
		return err
	})
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
