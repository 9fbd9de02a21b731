// Package task runs programs as tasks: rows that wait in queues, are taken by
// workers under leases, and end with a result, whatever happens to the machine.
//
//	s, err := task.Open(ctx, store, task.Options{})
//	err = s.Register(ctx, task.Program{Name: "thumbnail"}, func(c *task.Context) ([]byte, error) { ... })
//	go s.Work(ctx, "pool", 8) // a worker that runs up to 8 tasks at a time
//
//	id, err := s.Submit(ctx, task.Request{Program: "thumbnail", Args: name, Key: "thumbnail of " + name})
//	end, err := s.Wait(ctx, id)
//
// In a transaction of the caller's, s.In(tx).Submit(caller, request).
//
// # The life of a task
//
//	           submit
//	     +-------+--------+
//	at a |                | now
//	time v       fire     v
//	  delayed --------> ready <-----------------------+
//	   ^  |               | |                         |
//	   |  | halt     take | | halt                    | Retry
//	   |  +---> canceled  | +---> canceled, failed    | (from each end)
//	   |        or failed v                           |
//	   +--------------- running ---- end -----> done, failed
//	     end, with        | | | |
//	     attempts left    | | | +--- recover -> ready, or lost
//	     (or at once:     | | |
//	     ready)           | | +----- halt ----> stopping --- end, abandon, recover --> canceled, failed, done
//
// Arrow by arrow, as a test reads it:
//
//	nothing ---------------------- submit --------------> delayed, ready
//	delayed ---------------------- fire ----------------> ready
//	ready ------------------------ take ----------------> running
//	running ---------------------- end -----------------> done, failed
//	running ---------------------- end, attempts left --> delayed, ready
//	running ---------------------- recover -------------> ready, lost
//	running ---------------------- halt ----------------> stopping
//	stopping --------------------- end -----------------> done, canceled, failed
//	stopping --------------------- abandon, recover ----> canceled, failed
//	delayed, ready --------------- halt ----------------> canceled, failed
//	done, failed, canceled, lost - Retry ---------------> ready
//
// Each arrow is a function, part of a procedure: proc.submit, now or for a time;
// proc.fire, by a row of os.timers; proc.take, for a worker that has room; proc.end,
// when a worker says how an attempt ended, with attempts left for the next one, at once
// or after a while; proc.halt, by Cancel or a deadline; proc.abandon, when a task did
// not stop within the grace time; proc.recover, when its worker is gone: the machine
// went down, or it was not heard of for the time of a lease. Failed it is by an error
// without attempts left or by its deadline, canceled by Cancel. A task that ends well while
// it is stopping is done.
//
// # Never twice at once
//
// What a worker takes together has one Lease (or one for each 64), whose number is
// larger than all before: the fencing token. Every transaction for a task shows it (Token.Verify,
// Context.Update) and does nothing unless the task still runs under it. So when a
// task is taken from a worker, what that worker goes on doing has no effect on the
// store. Context.Finish ends a task in one transaction with its last effects: these
// are then done exactly once.
//
// A program says what a crash does to its tasks: Again, they are attempted once
// more; or NotTwice, they are lost. Tasks of the second kind begin when it is
// durable that they were taken.
//
// # Dispatching
//
// The dispatcher is a transaction: the procedure in which tasks become ready, or
// places free, also hands tasks to workers that have room, the best task first as
// the policy says (ParsePolicy). Calls that come at about the same time are one
// procedure (group). Nothing polls: who waits for a task is woken by the procedure
// that ends it, an idle worker by the one that has a task for it, and the
// dispatcher by a Watch of os.signals where others submit within transactions of
// their own. One goroutine sleeps until the first time in os.timers and
// os.schedules.
//
//	service.go   open, close             submit.go    new tasks       policy.go   what is best
//	group.go     calls together          assign.go    take            lanes.go    where tasks are ready
//	proc.go      a procedure             finish.go    end, recover    queue.go    limits
//	claim.go     workers and leases      cancel.go    stop, retry     timer.go    what is due
//	worker.go    goroutines that run     context.go   for programs    schedule.go cron, boot
//	wait.go      wait, get, list         numbers.go   numbers         check.go    proof
//	settings.go  queues and policy       forget.go    old tasks       lanequeue.go  their order
//
// # Limits
//
// A queue limits how many of its tasks run at a time and begin in a second. Limits,
// policy and pause are read in each procedure: a change holds from its commit on.
//
// The package owns the tables in tables.go. Their changes go through it: the rows
// of os.ready, os.timers, os.leases and os.loads follow from those of os.tasks, so
// restore them together. History of these is kept for a minute only. It may import
// dbms and services/user. It guarantees that a task that was submitted is there
// until it ends, and that no two attempts of it are valid at once. It refuses
// programs and queues that are not known, and callers without the right: submit to
// the queue and run of the program; claim from the queue; admin of the queue to
// stop others' tasks.
package task
