package task

import (
	"maps"
	"slices"
	"sync"

	"github.com/tuplix/tuplix/services/metric/figure"
)

// tally counts what procedures have done since the service was opened.
type tally struct {
	mu      sync.Mutex
	started uint64
	ended   map[State]uint64
}

// add counts a procedure that has committed.
func (t *tally) add(p *proc) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, c := range p.claimers {
		t.started += uint64(len(c.got))
	}
	for _, e := range p.finished {
		t.ended[e.state]++
	}
}

// Figures are those of the tasks that this service has handed out and seen end since
// it was opened.
func (s *Service) Figures() []figure.Value {
	list := []figure.Value{
		figure.Gauge("task_awaited", "Tasks for whose end somebody waits.", s.Waiting()),
		figure.Gauge("task_idle_workers", "Workers that would take a task.", s.group.idlers()),
	}
	s.tally.mu.Lock()
	defer s.tally.mu.Unlock()
	list = append(list, figure.Counter("task_started_total", "Attempts at tasks that workers have taken.", s.tally.started))
	for _, state := range slices.Sorted(maps.Keys(s.tally.ended)) {
		list = append(list, figure.Counter("task_ended_total", "Tasks that have ended.", s.tally.ended[state]).With("state", string(state)))
	}
	return list
}

// idlers is how many claimers wait for a task.
func (g *group) idlers() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.idle)
}
