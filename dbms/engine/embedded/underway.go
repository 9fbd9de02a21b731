package embedded

import (
	"context"
	"sync"
)

// loadsUnderWay are the loads that have begun and not ended.
//
// A restore to a moment before one of them hides its rows, though there are none yet. So
// the restore marks it, and a marked load is not taken in:
//
//	begun ──────► taken in ──────► ended
//	  └─ marked ──────────────────► ended
//
// A load that is just being taken in then has its rows hidden like others, which is for
// the restore's repair to do, and the repair waits for it.
type loadsUnderWay struct {
	mu    sync.Mutex
	state map[*load]*loadState
}

type loadState struct {
	since  version
	taken  bool          // Pebble may have the rows
	hidden bool          // by a restore, which came later
	ended  chan struct{} // closed
}

// begun is called with the commit lock held; again if the transaction runs again.
func (u *loadsUnderWay) begun(l *load, since version) {
	u.mu.Lock()
	defer u.mu.Unlock()
	l.since = since
	if u.state == nil {
		u.state = make(map[*load]*loadState)
	}
	if s := u.state[l]; s != nil {
		s.since = since
		return
	}
	u.state[l] = &loadState{since: since, ended: make(chan struct{})}
}

func (u *loadsUnderWay) ended(l *load) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if s := u.state[l]; s != nil {
		close(s.ended)
		delete(u.state, l)
	}
}

// oldest is the version of the oldest load under way, endVersion if there is none.
func (u *loadsUnderWay) oldest() version {
	u.mu.Lock()
	defer u.mu.Unlock()
	oldest := endVersion
	for _, s := range u.state {
		oldest = min(oldest, s.since)
	}
	return oldest
}

// hide marks the loads that restores hide. The commit lock is held.
func (u *loadsUnderWay) hide(restores []*hide) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for l, s := range u.state {
		for _, h := range restores {
			s.hidden = s.hidden || s.isHiddenBy(l, h)
		}
	}
}

func (s *loadState) isHiddenBy(l *load, h *hide) bool {
	return s.since > h.to && s.since < h.until && h.r.Overlaps(l.rng)
}

func (u *loadsUnderWay) isHidden(l *load) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	s := u.state[l]
	return s != nil && s.hidden
}

// take notes that a load is being taken in, false if a restore has hidden it.
func (u *loadsUnderWay) take(l *load) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	s := u.state[l]
	s.taken = !s.hidden
	return s.taken
}

// wait waits for the loads that are being taken in and that a restore hides: before,
// its repair would miss their rows.
func (u *loadsUnderWay) wait(ctx context.Context, h *hide) error {
	for _, ended := range u.taken(h) {
		select {
		case <-ended:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func (u *loadsUnderWay) taken(h *hide) (ended []chan struct{}) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for l, s := range u.state {
		if s.taken && s.isHiddenBy(l, h) {
			ended = append(ended, s.ended)
		}
	}
	return ended
}
