package system

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tuplix/tuplix/dbms/store"
	"github.com/tuplix/tuplix/dbms/table"
	"github.com/tuplix/tuplix/services/config"
	"github.com/tuplix/tuplix/services/log"
	"github.com/tuplix/tuplix/services/message"
	"github.com/tuplix/tuplix/services/metric"
	"github.com/tuplix/tuplix/services/task"
	"github.com/tuplix/tuplix/services/user"
)

// Tables returns the tables of all services.
func Tables() []table.Declared {
	return slices.Concat(user.Tables(), config.Tables(), log.Tables(), metric.Tables(), message.Tables(), task.Tables())
}

// Settings returns the settings of all services.
func Settings() []config.Declared {
	return slices.Concat(log.Settings(), metric.Settings())
}

// Options say how a System is opened. The zero value is sensible.
type Options struct {
	Store    store.Options
	Override map[string]string // settings of this boot's command line, by name

	// Kernel is kernel.LogFrom, and Booted when its clock was zero; nil: there is
	// no kernel below.
	Kernel func(position uint64) (text []byte, next uint64)
	Booted time.Time
}

// System is the open services. All methods may be called concurrently.
type System struct {
	Store   *store.Store // with the tables of all services
	Config  *config.Service
	Log     *log.Service
	Metric  *metric.Service
	Message *message.Service
	Task    *task.Service
	User    *user.Service
}

// Open opens the store of a volume and starts the services. Errors are those of
// store.Open, and of overrides that do not hold.
func Open(ctx context.Context, volume vfs.FS, o Options) (*System, error) {
	st, err := store.Open(ctx, volume, o.Store, Tables()...)
	if err != nil {
		return nil, err
	}
	s := &System{Store: st}
	if err := s.start(ctx, o); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// start opens the services, those first on which others stand.
func (s *System) start(ctx context.Context, o Options) (err error) {
	say := o.Store.Log
	if say == nil {
		say = func(string, ...any) {}
	}
	if s.User, err = user.Open(ctx, s.Store, user.Options{}); err != nil {
		return err
	}
	if s.Config, err = config.Open(ctx, s.Store, config.Options{Override: o.Override, Log: say}, Settings()...); err != nil {
		return err
	}
	failed := func(err error) { say("%v", err) }
	s.Log, err = log.Open(ctx, s.Store, s.Config, log.Options{Kernel: o.Kernel, Booted: o.Booted, Failed: failed})
	if err != nil {
		return err
	}
	if s.Metric, err = metric.Open(ctx, s.Store, s.Config, metric.Options{Failed: failed}); err != nil {
		return err
	}
	if s.Message, err = message.Open(ctx, s.Store, message.Options{}); err != nil {
		return err
	}
	s.Task, err = task.Open(ctx, s.Store, task.Options{Log: say})
	return err
}

// Close ends the services in the reverse order, then the store.
func (s *System) Close() error {
	if s.Task != nil {
		s.Task.Close()
	}
	if s.Metric != nil {
		s.Metric.Close()
	}
	if s.Log != nil {
		s.Log.Close()
	}
	if s.Config != nil {
		s.Config.Close()
	}
	return s.Store.Close()
}
