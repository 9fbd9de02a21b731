package embedded

import (
	"sync/atomic"

	"github.com/tuplix/tuplix/dbms/engine"
)

// users counts the methods at work, for Close to wait for them. Unlike a
// sync.RWMutex it lets a view begin inside another while Close waits for both.
type users struct {
	inside atomic.Int64
	closed atomic.Bool
	gone   chan struct{} // gets a value when somebody leaves a closed store
}

// enter begins a method, leave ends it.
func (e *Engine) enter() error {
	e.users.inside.Add(1)
	if e.users.closed.Load() {
		e.leave()
		return engine.ErrClosed
	}
	return nil
}

func (e *Engine) leave() {
	e.users.inside.Add(-1)
	if e.users.closed.Load() {
		select {
		case e.users.gone <- struct{}{}:
		default:
		}
	}
}

// close lets nobody in any more; false if that was so already.
func (u *users) close() bool { return !u.closed.Swap(true) }

// wait returns when nobody is inside.
func (u *users) wait() {
	for u.inside.Load() > 0 {
		<-u.gone
	}
}
