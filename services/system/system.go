package system

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tuplix/tuplix/dbms/store"
	"github.com/tuplix/tuplix/dbms/table"
	"github.com/tuplix/tuplix/services/config"
	"github.com/tuplix/tuplix/services/file"
	"github.com/tuplix/tuplix/services/log"
	"github.com/tuplix/tuplix/services/message"
	"github.com/tuplix/tuplix/services/metric"
	"github.com/tuplix/tuplix/services/metric/figure"
	"github.com/tuplix/tuplix/services/net/control"
	"github.com/tuplix/tuplix/services/ssh"
	"github.com/tuplix/tuplix/services/task"
	"github.com/tuplix/tuplix/services/trace"
	"github.com/tuplix/tuplix/services/user"
)

// Tables returns the tables of all services.
func Tables() []table.Declared {
	return slices.Concat(user.Tables(), file.Tables(), config.Tables(), log.Tables(), metric.Tables(), message.Tables(), task.Tables(), control.Tables(), ssh.Tables(), trace.Tables())
}

// Settings returns the settings of all services.
func Settings() []config.Declared {
	return slices.Concat(log.Settings(), metric.Settings(), task.Settings(), control.Settings(), ssh.Settings(), trace.Settings())
}

// Options say how a System is opened. The zero value is sensible.
type Options struct {
	Store    store.Options
	File     file.Options      // but for what the store tells: Space and MakeRoom
	Override map[string]string // settings of this boot's command line, by name

	// Kernel is kernel.LogFrom, and Booted when its clock was zero; nil: there is
	// no kernel below.
	Kernel func(position uint64) (text []byte, next uint64)
	Booted time.Time
}

// System is the open services. All methods may be called concurrently.
type System struct {
	Store   *store.Store // with the tables of all services
	File    *file.FS
	Config  *config.Service
	Log     *log.Service
	Metric  *metric.Service
	Message *message.Service
	Task    *task.Service
	User    *user.Service
	Trace   *trace.Service
	Net     *control.Service // of a machine that runs it; elsewhere only its tables
	SSH     *ssh.Server      // nil until LetIn

	options Options
	here    bool // files and network are the machine's, and stay open
}

// Open opens the store of a volume and starts the services. Errors are those of
// OpenFiles and Start.
func Open(ctx context.Context, volume vfs.FS, o Options) (*System, error) {
	s, err := OpenFiles(ctx, volume, o)
	if err != nil {
		return nil, err
	}
	if err := s.Start(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// OpenFiles opens the store of a volume and the files, without which there are no
// system calls on a machine; Start starts the other services. Errors are those of
// file.OpenVolume.
func OpenFiles(ctx context.Context, volume vfs.FS, o Options) (*System, error) {
	so := o.Store // without a log, what the store does then
	if o.Store.Log == nil {
		o.Store.Log = func(string, ...any) {}
	}
	if o.File.Log == nil {
		o.File.Log = o.Store.Log
	}
	st, fs, err := file.OpenVolume(ctx, volume, so, o.File, Tables()...)
	if err != nil {
		return nil, err
	}
	return &System{Store: st, File: fs, options: o}, nil
}

// Start starts the services besides files, those first on which others stand. It is
// called once. Errors are those of overrides that do not hold, and of the store.
func (s *System) Start(ctx context.Context) (err error) {
	o, say := s.options, s.options.Store.Log
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
	if s.Trace, err = trace.Open(ctx, s.Store, s.Config, trace.Options{Failed: failed}); err != nil {
		return err
	}
	if s.Message, err = message.Open(ctx, s.Store, message.Options{Log: say}); err != nil {
		return err
	}
	if s.Task, err = task.Open(ctx, s.Store, task.Options{Config: s.Config, Log: say}); err != nil {
		return err
	}
	for _, source := range []figure.Source{s.File.Figures, s.Message.Figures, s.Task.Figures} {
		s.Metric.Add(source)
	}
	if s.Net != nil {
		return nil
	}
	s.Net, err = control.Open(ctx, s.Store, control.Options{Config: s.Config, Log: say})
	return err
}

// LetIn begins to let users in by SSH where the setting ssh.listen says; what they
// then do is the handler's. Without it nobody is let in. It is called once.
func (s *System) LetIn(handler ssh.Handler) {
	s.SSH = ssh.Open(s.Store, s.User, s.Config, ssh.Options{Handler: handler, Log: slog.New(s.Log.Handler())})
}

// Sync makes everything durable that has returned.
func (s *System) Sync(ctx context.Context) error {
	return errors.Join(s.File.Sync(), s.Store.Sync(ctx))
}

// Close ends the services in the reverse order, then the store.
func (s *System) Close() error {
	if s.SSH != nil {
		s.SSH.Close()
	}
	if s.Task != nil {
		s.Task.Close()
	}
	if s.Message != nil {
		s.Message.Close()
	}
	if s.Net != nil && !s.here {
		s.Net.Close()
	}
	if s.Trace != nil {
		s.Trace.Close()
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
	var err error
	if s.File != nil && !s.here {
		err = s.File.Close()
	}
	return errors.Join(err, s.Store.Close())
}
