package task

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/tuplix/tuplix/dbms/engine"
)

// Moves are the ways that tasks may go, as "from -> to", in order.
func Moves() []string {
	list := []string{"nothing -> delayed", "nothing -> ready"} // which submit does without become
	for from, all := range moves {
		for _, to := range all {
			list = append(list, string(from)+" -> "+string(to))
		}
	}
	slices.Sort(list)
	return list
}

// Tick does what is due, as the goroutine of the timers does by itself.
func (s *Service) Tick(ctx context.Context) error {
	_, err := s.tick(ctx)
	return err
}

// Metrics are those of the engine below.
func (s *Service) Metrics() engine.Metrics { return s.store.Engine().Metrics() }

// Order is the policy that procedures go by, "" if the next one will read its row.
func (s *Service) Order() string {
	s.settings.mu.Lock()
	defer s.settings.mu.Unlock()
	if s.settings.policy == nil {
		return ""
	}
	return s.settings.policy.text
}

// Idle is how many workers would take a task.
func (s *Service) Idle() int { return s.group.idlers() }

// Wakes is when the timers wake up, the zero time while they are awake.
func (s *Service) Wakes() time.Time {
	s.timer.mu.Lock()
	defer s.timer.mu.Unlock()
	return s.timer.next
}

// Parsed is what a policy says, without its text, and another text that says it.
func Parsed(text string) (parsed any, words string, err error) {
	p, err := parsePolicy(text)
	if err != nil {
		return nil, "", err
	}
	names := map[column]string{
		byPriority: "PRIORITY", byDue: "due", byDeadline: "deadline", byAttempt: "attempt", byShare: "share", byPlace: "Place", byLoad: "load",
	}
	var terms []string
	for _, t := range p.terms {
		if t.desc {
			terms = append(terms, names[t.column]+"  desc")
		} else {
			terms = append(terms, names[t.column]+" asc ")
		}
	}
	without := *p
	without.text = ""
	return without, strings.Join(terms, ","), nil
}
