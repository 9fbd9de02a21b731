package task

import (
	"errors"
	"fmt"
	"sync"

	"github.com/tuplix/tuplix/dbms/table"
)

// settings keeps the queues and the policy as procedures have read them, since
// each procedure needs them. They are forgotten in the procedure that changes
// them, so the next sees the change; when a procedure fails; and a moment after
// somebody has written the tables by other means, which a Watch tells. A part of
// another's transaction does not use them: that may read an older state.
type settings struct {
	mu     sync.Mutex
	queues map[string]Queue
	policy *policy
	last   *policy // the last that could be read
}

func (s *settings) init() { s.queues = map[string]Queue{} }

func (s *settings) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.queues)
	s.policy = nil
}

// queue returns the row of a queue.
func (s *settings) queue(tx *table.Tx, name string) (Queue, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if q, ok := s.queues[name]; ok {
		return q, nil
	}
	q, err := readQueue(tx, name)
	if err == nil {
		s.queues[name] = q
	}
	return q, err
}

func readQueue(tx *table.Tx, name string) (Queue, error) {
	q, err := Queues.Get(tx, name)
	if errors.Is(err, table.ErrNotFound) {
		err = fmt.Errorf("queue %q: %w", name, ErrUnknown)
	}
	return q, err
}

// order returns the policy.
func (s *settings) order(tx *table.Tx, log func(string, ...any)) (*policy, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.policy != nil {
		return s.policy, nil
	}
	text, err := readOrder(tx)
	if err != nil {
		return nil, err
	}
	s.policy, err = parsePolicy(text)
	if err != nil { // somebody wrote the row past SetPolicy
		log("task: tasks go on in the order of before: %v", err)
		s.policy, err = s.last, nil
		if s.policy == nil {
			s.policy, err = parsePolicy(defaultOrder)
		}
	}
	s.last = s.policy
	return s.policy, err
}

// readOrder returns the text of the policy.
func readOrder(tx *table.Tx) (string, error) {
	row, err := Policies.Get(tx, theOrder)
	if errors.Is(err, table.ErrNotFound) {
		return defaultOrder, nil
	}
	return row.Order, err
}
