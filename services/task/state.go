package task

import (
	"fmt"
	"slices"
)

// State is where a task is in its life. doc.go draws it.
type State string

// The states.
const (
	Delayed  State = "delayed"  // it waits for its time
	Waiting  State = "ready"    // it can be taken
	Running  State = "running"  // a worker has it
	Stopping State = "stopping" // a worker has it, and has been told to stop
	Done     State = "done"     // it ended well
	Failed   State = "failed"   // it ended with an error, or too late
	Canceled State = "canceled" // somebody stopped it
	Lost     State = "lost"     // the machine went down while it ran, and it must not be run again
)

// moves are the arrows of the drawing in doc.go. A task is submitted as delayed or ready.
var moves = map[State][]State{
	Delayed:  {Waiting, Canceled, Failed},
	Waiting:  {Running, Canceled, Failed},
	Running:  {Done, Failed, Delayed, Waiting, Lost, Stopping},
	Stopping: {Canceled, Failed, Done},
	Done:     {Waiting},
	Failed:   {Waiting},
	Canceled: {Waiting},
	Lost:     {Waiting},
}

// become takes a task along an arrow. An error is a fault of this package, and ends
// the procedure.
func (t *Task) become(s State) error {
	if !slices.Contains(moves[t.State], s) {
		return fmt.Errorf("task %d cannot become %s, as it is %s", t.ID, s, t.State)
	}
	t.State = s
	return nil
}

// Ended reports whether a task in this state has come to its end.
func (s State) Ended() bool { return s == Done || s == Failed || s == Canceled || s == Lost }

// Taken reports whether a worker has a task in this state.
func (s State) Taken() bool { return s == Running || s == Stopping }

// What becomes of a task that ran when its machine went down, or that its worker
// gave no sign of for too long.
const (
	Again     = "again" // it is run once more, as the next attempt
	NotTwice  = "lost"  // it is not: its state becomes lost
	stopUser  = "canceled"
	stopLate  = "deadline"
	kindGo    = "go"
	bootCron  = "@boot"
	theOrder  = "default" // name of the policy, and of the queue that is always there
	lateError = "its deadline has passed"
)

// Status of a task that did not end by itself, as shells tell of processes.
const (
	statusFailed   = 1
	statusPanic    = 2
	statusCanceled = 130 // as by an interrupt
	statusLate     = 124 // as of timeout(1)
	statusLost     = 137 // as by a kill
)
