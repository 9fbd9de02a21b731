package task

import (
	"context"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/store"
	"github.com/tuplix/tuplix/dbms/table"
	"github.com/tuplix/tuplix/services/config"
	"github.com/tuplix/tuplix/services/user"
)

const (
	// DefaultLease is for how long a worker that is not heard of keeps its tasks.
	DefaultLease = 30 * time.Second

	// DefaultGrace is how long a task that was told to stop may take.
	DefaultGrace = 10 * time.Second
)

// Options say how the service works. The zero value is sensible.
type Options struct {
	Machine string          // the name of this machine, "": the host's
	Lease   time.Duration   // 0: DefaultLease
	Grace   time.Duration   // 0: DefaultGrace
	Config  *config.Service // has the settings of the package; nil: their defaults hold
	Now     func() time.Time
	Log     func(format string, args ...any) // takes what goes wrong in the background; nil: nobody
}

func (o *Options) fill() error {
	if o.Machine == "" {
		name, err := os.Hostname()
		if err != nil {
			return fmt.Errorf("task: the machine has no name: %w", err)
		}
		o.Machine = name
	}
	if o.Lease == 0 {
		o.Lease = DefaultLease
	}
	if o.Grace == 0 {
		o.Grace = DefaultGrace
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = func(string, ...any) {}
	}
	return nil
}

// Service is the tasks of a store. All methods may be called concurrently.
type Service struct {
	store     *store.Store
	o         Options
	exclusive bool // nobody else changes the tables but in this process

	unsettled atomic.Bool // queues or the policy have changed: loads are to be counted

	numbers  numbers
	group    group
	lanes    lanes
	settings settings
	waiters  waiters
	programs registry
	runs     runs
	timer    timer
	sweeper  sweeper
	tally    tally

	stop  context.CancelFunc
	ended sync.WaitGroup
}

// Open goes on with the tasks of a store: those that ran when it was last closed,
// or the machine went down, are made ready again or marked as lost.
func Open(ctx context.Context, st *store.Store, o Options) (*Service, error) {
	if err := o.fill(); err != nil {
		return nil, err
	}
	s := &Service{store: st, o: o}
	if x, ok := st.Engine().(table.Exclusive); ok {
		s.exclusive = x.Exclusive()
	}
	s.lanes.init()
	s.settings.init()
	s.waiters.init()
	s.programs.init()
	s.runs.init()
	s.timer.init()
	s.tally.ended = map[State]uint64{Done: 0, Failed: 0, Canceled: 0, Lost: 0}
	s.group.s = s
	s.numbers.s = s
	if err := s.retain(ctx); err != nil {
		return nil, err
	}
	if err := s.begin(ctx); err != nil {
		return nil, err
	}
	run, stop := context.WithCancel(context.Background())
	s.stop = stop
	s.ended.Go(func() { s.runTimers(run) })
	s.ended.Go(func() { s.listen(run) })
	return s, nil
}

// Close ends the service. Tasks of this process that still run are told to stop,
// and found again by the next Open; who waits gets ErrClosed.
func (s *Service) Close() {
	s.stop()
	s.runs.stopAll()
	s.group.close()
	s.waiters.close()
	s.ended.Wait()
}

func (s *Service) now() time.Time { return s.o.Now().UTC().Truncate(time.Microsecond) }

// system is the caller of what the service does by itself.
var system = user.Caller{User: user.Root, Program: "task"}

// retain has the engine keep little history of rows that come and go.
func (s *Service) retain(ctx context.Context) error {
	return s.store.Retain(ctx, system.Op("task.Open"), engine.MinRetention, brief()...)
}
