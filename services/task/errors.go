package task

import "errors"

var (
	// ErrFenced refuses who acts for a task without its lease: the lease has
	// expired, or the task was taken away or has ended. Nothing was changed, and
	// whoever gets it should stop.
	ErrFenced = errors.New("the task is no longer this worker's: its lease has ended")

	// ErrExpired refuses a worker that has left, or was not heard of for too long.
	ErrExpired = errors.New("the worker is not registered, or no longer: it was not heard of, or has left")

	// ErrUnknown says that there is no such task, queue, program or schedule.
	ErrUnknown = errors.New("not known")

	// ErrEnded refuses to stop a task that has ended.
	ErrEnded = errors.New("the task has ended")

	// ErrNotEnded refuses to run a task again that has not ended.
	ErrNotEnded = errors.New("the task has not ended")

	// ErrClosed says that the service has been closed.
	ErrClosed = errors.New("the task service is closed")
)

// Permanent is an error of a program after which another attempt is of no use:
// the task fails, however many attempts it has left.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return &permanentError{err}
}

type permanentError struct{ error }

func (e *permanentError) Unwrap() error { return e.error }
