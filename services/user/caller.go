package user

import (
	"context"

	"github.com/tuplix/tuplix/dbms/engine"
)

// Root is the user who may do everything, number 0 of Linux.
const Root = "root"

// Caller is on whose behalf something is done.
type Caller struct {
	User    string // a user's name
	Program string // the program that acts for them, "" if it is not known
	Task    string // the task in which it runs, "" for none
}

// callerKey is the key of the Caller in a context.
type callerKey struct{}

// With returns a context in which c is the caller.
func With(ctx context.Context, c Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

// From returns the caller of a context, or root where none was set.
func From(ctx context.Context) Caller {
	if c, ok := ctx.Value(callerKey{}).(Caller); ok {
		return c
	}
	return Caller{User: Root}
}

// Op is the operation of a procedure that runs for the caller. Its ID, and
// whether it waits, are the procedure's to set.
func (c Caller) Op(name string) *engine.Op {
	return &engine.Op{User: c.User, Program: c.Program, Task: c.Task, Name: name}
}
