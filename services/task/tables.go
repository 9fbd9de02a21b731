package task

import (
	"database/sql"
	"time"

	"github.com/tuplix/tuplix/dbms/table"
)

// Program is something that tasks run.
type Program struct {
	Name    string `table:"key"` // what tasks call it by
	Kind    string // "go": a function that is linked in
	OnCrash string // what becomes of a task that ran when the machine went down: "again" or "lost"
	Queue   string // where its tasks wait if they do not say
	Doc     string // what it does
}

// Queue is where tasks wait, with the limits under which they are taken.
type Queue struct {
	Name        string  `table:"key"` // what tasks call it by
	Concurrency uint32  // the most of its tasks that run at a time; 0: no limit
	Rate        float64 // the most of its tasks that begin in a second, on average; 0: no limit
	Burst       uint32  // how many may begin at once after a pause, if there is a rate; at least 1
	Weight      uint32  // its part when queues share workers: two of weight 2 and 1 get two thirds and one
	Paused      bool    // none of its tasks is taken
	Doc         string  // what it is for
}

// Load is what runs of a queue. Only queues for which it matters have one: those
// with a limit, and all while the policy shares.
type Load struct {
	Queue    string    `table:"key"` // the queue
	Running  uint32    // its tasks that run
	Allowed  float64   // tasks that may begin at Refilled, if there is a rate
	Refilled time.Time // when Allowed was worked out
}

// Task is one run of a program, or several attempts at it.
type Task struct {
	ID        uint64              `table:"key"` // rises with each task
	Queue     string              // where it waits
	Program   string              // what it runs
	State     State               // delayed, ready, running, stopping, done, failed, canceled, lost
	Priority  int8                // those with a higher one go first, as far as the policy says so
	Due       time.Time           // when it was, or is, ready to run
	Submitted time.Time           // when it was submitted
	Started   sql.Null[time.Time] // when the latest attempt began
	Ended     sql.Null[time.Time] // when the task ended
	Deadline  sql.Null[time.Time] // when it is stopped, and fails
	User      string              // on whose behalf it runs
	Parent    uint64              // the task that submitted it; 0: none
	Place     string              // the machine where it runs best, if the policy looks at that
	Attempt   uint32              // how often it was begun
	Lease     uint64              // the fencing token of the attempt under way, or of the last
	Worker    uint64              // who has the lease
	Stop      string              // why it is to stop: "", "canceled" or "deadline"
	Status    int32               // how it ended, as of a process: 0 is well
	Input     bool                // it has a row in os.inputs
	Result    bool                // it has a row in os.results
	Busy      time.Duration       // how long all attempts ran, together
	Commits   uint32              // transactions that they made by their Context
}

// Input is what a task was given. Only tasks that were given something have one.
type Input struct {
	Task     uint64            `table:"key"` // the task
	Args     []byte            // for the program, in whatever form it expects
	Env      map[string]string `table:"json"` // its environment
	Attempts uint32            // the most attempts; 0 and 1: no other after a failure
	Backoff  time.Duration     // from the first failure to the next attempt; each later pause is twice as long
	Longest  time.Duration     // the longest of these pauses; 0: a day
}

// Result is what came out of a task. Only tasks with one have it.
type Result struct {
	Task  uint64 `table:"key"` // the task
	Value []byte // what the program returned
	Error string // why the latest attempt failed
	Stack string // where, if it panicked
}

// Submission makes tasks that are submitted twice with the same key one task.
type Submission struct {
	User string    `table:"key"` // who submitted it
	Key  string    `table:"key"` // as the submitter chose it
	Task uint64    // the task
	At   time.Time // when it was submitted first
}

// Ready is a task that can be taken, in the order in which they are.
type Ready struct {
	Queue    string    `table:"key"`      // where it waits
	Priority int8      `table:"key,desc"` // the task's
	Due      time.Time `table:"key"`      // since when it can be taken
	Task     uint64    `table:"key"`      // the task
}

// Timer is something to be done with a task or a worker at a time.
type Timer struct {
	At   time.Time `table:"key"` // when
	ID   uint64    `table:"key"` // the task or worker
	Kind string    `table:"key"` // what: ready, deadline, abandon (a task); expire (a worker)
}

// Child is a task that another has submitted.
type Child struct {
	Parent uint64 `table:"key"` // the task that submitted it
	Task   uint64 `table:"key"` // the task
}

// Worker takes tasks and runs them.
type Worker struct {
	ID      uint64    `table:"key"` // rises with each worker
	Name    string    // for people
	Machine string    // where it is
	User    string    // who may act as this worker
	Queues  []string  `table:"json"` // whose tasks it takes; none: those of all
	Slots   uint32    // how many it takes at a time, at most
	Running uint32    // how many it has
	Begun   time.Time // when it registered
	Expires time.Time // its leases end then, unless it is heard of before
}

// Lease is tasks that a worker has taken together, up to 64. Its number is their fencing
// token: whoever acts for one of them has to show it.
type Lease struct {
	ID     uint64    `table:"key"` // rises with each lease
	Worker uint64    // who has it
	Taken  time.Time // when
	Left   uint32    // of its tasks, those that have not ended
	Tasks  []uint64  `table:"json"` // all of them
}

// Schedule submits tasks at times.
type Schedule struct {
	Name     string              `table:"key"` // for people
	Cron     string              // when: as in robfig/cron, "*/5 * * * *" or "@every 90s"; or "@boot"
	Zone     string              // the time zone of Cron, as in "Europe/Berlin"; "": UTC
	Program  string              // what its tasks run
	Queue    string              // where they wait; "": the program's
	Args     []byte              // what they are given
	Priority int8                // theirs
	CatchUp  bool                // times that were missed, because the machine was down, are made up for
	Paused   bool                // none is submitted, and times that pass are not made up for
	User     string              // on whose behalf they run
	Next     sql.Null[time.Time] // when the next is submitted
	Last     sql.Null[time.Time] // the time for which the last was submitted
	Task     uint64              // that task
}

// Policy says which task is taken next. There is one, named "default".
type Policy struct {
	Name  string `table:"key"` // "default"
	Order string // terms as in ORDER BY, over columns of tasks and workers
}

// Counter gives numbers.
type Counter struct {
	Name string `table:"key"` // of what: task, worker, lease
	Next uint64 // larger than all that were given
}

// Signal tells the dispatcher of what became ready within transactions that it did
// not make itself.
type Signal struct {
	Queue  string `table:"key"` // where
	Number uint64 // how often
}

// The tables.
var (
	Programs    = table.Declare[Program]("os.programs")
	Queues      = table.Declare[Queue]("os.queues")
	Loads       = table.Declare[Load]("os.loads")
	Tasks       = table.Declare[Task]("os.tasks")
	Inputs      = table.Declare[Input]("os.inputs")
	Results     = table.Declare[Result]("os.results")
	Submissions = table.Declare[Submission]("os.submissions")
	Readies     = table.Declare[Ready]("os.ready")
	Timers      = table.Declare[Timer]("os.timers")
	Children    = table.Declare[Child]("os.children")
	Workers     = table.Declare[Worker]("os.workers")
	Leases      = table.Declare[Lease]("os.leases")
	Schedules   = table.Declare[Schedule]("os.schedules")
	Policies    = table.Declare[Policy]("os.policies")
	Counters    = table.Declare[Counter]("os.counters")
	Signals     = table.Declare[Signal]("os.signals")

	submissionOf = Submissions.Index("task", "task")
	nextSchedule = Schedules.Index("next", "next").Where("next is not null")
)

// Tables returns the tables that the package owns.
func Tables() []table.Declared {
	return []table.Declared{
		Programs, Queues, Loads, Tasks, Inputs, Results, Submissions, Readies, Timers, Children, Workers, Leases,
		Schedules, Policies, Counters, Signals,
	}
}

// brief are the tables whose rows come and go all the time; what they were a while
// ago is of no use to anybody, the tasks themselves tell it.
func brief() []table.Declared {
	return []table.Declared{Readies, Timers, Leases, Loads, Signals, Workers}
}
