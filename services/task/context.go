package task

import (
	"context"
	"errors"
	"strconv"
	"sync"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/table"
	"github.com/tuplix/tuplix/services/user"
)

// Context is what a program's function gets. It ends when the task is to stop: it
// was canceled, its deadline has passed, its lease is lost, or its worker ends.
// The caller that it carries is the task's user, in the task.
type Context struct {
	context.Context
	Task Task              // as it was taken
	Args []byte            // what it was given
	Env  map[string]string // its environment

	s        *Service
	mu       sync.Mutex
	commits  uint32
	finished bool // by Finish
}

// ErrStopped is the cause of a Context's end if the task is to stop.
var ErrStopped = errors.New("the task is to stop")

// Token returns what shows that the task may act.
func (c *Context) Token() Token { return Token{c.Task.ID, c.Task.Lease} }

// Update runs fn as a transaction of the task. It fails with ErrFenced, and does
// nothing, if the task was taken away or has ended.
func (c *Context) Update(name string, fn func(*table.Tx) error) (engine.Version, error) {
	v, err := c.s.Update(c, c.Token(), user.From(c).Op(name), fn)
	if err == nil {
		c.mu.Lock()
		c.commits++
		c.mu.Unlock()
	}
	return v, err
}

// Finish ends the task well, in one transaction with what fn changes: so that is
// done exactly once, whatever happens. The function has only to return after it;
// what it returns then does not count. If Finish fails, nothing has happened.
func (c *Context) Finish(name string, value []byte, fn func(*table.Tx) error) error {
	p := &proc{foreign: true}
	o := Outcome{Token: c.Token(), Value: value, Commits: c.made() + 1}
	_, err := c.s.store.Update(c, user.From(c).Op(name), func(tx *table.Tx) error {
		p.begin(c.s, tx, user.From(c))
		if err := o.Verify(tx); err != nil {
			return err
		}
		if err := fn(tx); err != nil {
			return err
		}
		if err := p.end(&o); err != nil {
			return err
		}
		return p.flush()
	})
	if err != nil {
		return err
	}
	c.mu.Lock()
	c.finished = true
	c.mu.Unlock()
	for _, w := range c.s.group.settle(p) {
		c.s.waiters.release(w, nil)
	}
	c.s.dispatch()
	return nil
}

func (c *Context) made() uint32 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.commits
}

// newContext makes the context of a task that was taken.
func (s *Service) newContext(ctx context.Context, got *Claimed) *Context {
	ctx = user.With(ctx, user.Caller{User: got.Task.User, Program: got.Task.Program, Task: strconv.FormatUint(got.Task.ID, 10)})
	return &Context{Context: ctx, Task: got.Task, Args: got.Args, Env: got.Env, s: s}
}
