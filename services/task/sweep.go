package task

import (
	"context"
	"sync"
	"time"

	"github.com/tuplix/tuplix/services/config"
)

const (
	defaultKeep = 7 * 24 * time.Hour
	defaultMost = 1_000_000
)

// The settings.
var (
	Keep = config.Between(config.Duration("task.keep", defaultKeep, "How long tasks are kept that have ended."), time.Minute, 100*365*24*time.Hour)
	Most = config.Between(config.Int("task.most", defaultMost, "Tasks that have ended are kept only of so many that were submitted last."), 1, 1<<40)
)

// Settings are those that the package declares.
func Settings() []config.Declared { return []config.Declared{Keep, Most} }

// kept is what the settings say.
func (s *Service) kept() (keep time.Duration, most int64) {
	if s.o.Config == nil {
		return defaultKeep, defaultMost
	}
	return Keep.In(s.o.Config), Most.In(s.o.Config)
}

// sweeper removes old tasks: when some time has passed, and when many have ended.
type sweeper struct {
	mu    sync.Mutex
	next  time.Time // when it begins by itself; zero: now
	soon  time.Time // not before this time, however many have ended
	ended int       // since the last time
	most  int       // of them, when it begins; 0: not known yet
}

const (
	sweepEvery = time.Hour   // at the longest
	sweepPause = time.Minute // at the least: it looks at all tasks that wait, too
	sweepParts = 8           // of the time and the number that are kept, which may be passed
)

// count counts tasks that have ended, and reports whether the timer is to look.
func (w *sweeper) count(n int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	before := w.ended
	w.ended += n
	return before < w.most && w.ended >= w.most
}

// due reports whether to begin, or when.
func (w *sweeper) due(now time.Time) (time.Time, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	at := w.next
	if w.ended >= w.most && w.soon.Before(at) {
		at = w.soon
	}
	return at, !now.Before(at)
}

// begin notes that it begins, and when it does so again.
func (w *sweeper) begin(now time.Time, keep time.Duration, most int64) time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.next, w.soon = now.Add(min(max(keep/sweepParts, sweepPause), sweepEvery)), now.Add(sweepPause)
	w.ended, w.most = 0, int(max(most/sweepParts, 1))
	return w.next
}

// sweepDue removes old tasks if it is time to, and tells when to come again.
func (s *Service) sweepDue(ctx context.Context) (time.Time, error) {
	now := s.now()
	at, due := s.sweeper.due(now)
	if !due {
		return at, nil
	}
	keep, most := s.kept()
	at = s.sweeper.begin(now, keep, most)
	old := age{ended: now.Add(-keep)}
	if last := s.numbers.last(ofTasks); last > uint64(most) {
		old.number = last - uint64(most)
	}
	_, err := s.forget(ctx, system, old)
	return at, err
}
