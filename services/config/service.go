package config

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/store"
	"github.com/tuplix/tuplix/dbms/table"
	"github.com/tuplix/tuplix/services/user"
)

// Row is a setting.
type Row struct {
	Name     string           `table:"key"` // words with dots between
	Value    sql.Null[string] // what was set; null: the default holds
	Override sql.Null[string] // what the command line of this boot says instead
	Type     string           // bool, int, text, duration, size, or what the program calls it
	Default  string           // what holds where nothing was set
	Rule     string           // which values are taken
	Doc      string           // what it is for
}

// Settings is the table of all settings.
var Settings = table.Declare[Row]("os.settings")

// Tables returns the tables that the package owns.
func Tables() []table.Declared { return []table.Declared{Settings} }

// ErrUnknown says that no setting of this name was declared.
var ErrUnknown = errors.New("there is no such setting")

// Options say how settings are opened. The zero value is sensible.
type Options struct {
	Override map[string]string                // of this boot, by name
	Log      func(format string, args ...any) // takes what is wrong with stored values; nil: nobody
}

// Service is the settings of a store. All methods may be called concurrently.
type Service struct {
	store    *store.Store
	declared map[string]Declared
	override map[string]string
	log      func(format string, args ...any)
	area     engine.Range // the rows' keys
	end      context.CancelFunc
	ended    chan struct{}

	values atomic.Pointer[map[string]any] // parsed; read-only

	mu      sync.Mutex // guards what follows, and who replaces values
	loaded  engine.Version
	changed chan struct{} // closed by the next change
}

// Open sees that each setting has its row, applies the overrides, and follows
// changes until Close. It fails for two settings of one name, and for overrides
// that do not parse or that nobody declared.
func Open(ctx context.Context, s *store.Store, o Options, settings ...Declared) (*Service, error) {
	c := &Service{
		store: s, declared: map[string]Declared{}, override: o.Override, log: o.Log,
		changed: make(chan struct{}), ended: make(chan struct{}),
	}
	if c.log == nil {
		c.log = func(string, ...any) {}
	}
	for _, d := range settings {
		if c.declared[d.Name()] != nil {
			return nil, fmt.Errorf("config: two settings are named %s", d.Name())
		}
		c.declared[d.Name()] = d
	}
	if err := c.checkOverride(); err != nil {
		return nil, err
	}
	op := user.Caller{User: user.Root, Program: "config"}.Op("config.Open")
	if _, err := s.Update(ctx, op, c.declare); err != nil {
		return nil, err
	}
	if err := c.load(ctx); err != nil {
		return nil, err
	}
	follow, end := context.WithCancel(context.Background())
	c.end = end
	go c.follow(follow)
	return c, nil
}

// Close ends following changes. What was read stays.
func (c *Service) Close() {
	c.end()
	<-c.ended
}

func (c *Service) checkOverride() error {
	for _, name := range slices.Sorted(maps.Keys(c.override)) {
		d := c.declared[name]
		if d == nil {
			return fmt.Errorf("config: the command line sets %s: %w", name, ErrUnknown)
		}
		if _, err := d.parse(c.override[name]); err != nil {
			return fmt.Errorf("config: the command line sets %s: %w", name, err)
		}
	}
	return nil
}

// declare brings the rows to what the declarations and this boot say. Rows of
// settings that nobody declares any more stay: their program may come back.
func (c *Service) declare(tx *table.Tx) error {
	var err error
	if c.area, err = Settings.Range(tx, table.Span{}); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(c.declared)) {
		have, err := Settings.Get(tx, name)
		if err != nil && !errors.Is(err, table.ErrNotFound) {
			return err
		}
		want := c.declared[name].describe()
		want.Value = have.Value
		if text, ok := c.override[name]; ok {
			want.Override = sql.Null[string]{V: text, Valid: true}
		}
		if want != have {
			if err := Settings.Put(tx, &want); err != nil {
				return err
			}
		}
	}
	return nil
}

// Set stores a value for a setting, or with nil removes it so that the default
// holds. The value holds when Set returns, unless this boot's command line
// overrides it. Errors: ErrUnknown, what the setting refuses, user.ErrDenied.
func (c *Service) Set(ctx context.Context, name string, value *string) error {
	caller := user.From(ctx)
	_, err := c.store.Update(ctx, caller.Op("config.Set"), func(tx *table.Tx) error {
		return c.SetIn(tx, caller, name, value)
	})
	if err != nil {
		return err
	}
	return c.load(ctx)
}

// SetIn is Set as a part of a transaction. The value holds a moment after its
// commit.
func (c *Service) SetIn(tx *table.Tx, caller user.Caller, name string, value *string) error {
	if err := user.Check(tx, caller, user.Write, user.Object{Kind: user.KindSystem, Name: "config"}); err != nil {
		return err
	}
	d := c.declared[name]
	if d == nil {
		return fmt.Errorf("%s: %w", name, ErrUnknown)
	}
	row, err := Settings.Get(tx, name)
	if err != nil {
		return err
	}
	row.Value = sql.Null[string]{}
	if value != nil {
		if _, err := d.parse(*value); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		row.Value = sql.Null[string]{V: *value, Valid: true}
	}
	return Settings.Update(tx, &row)
}

// Follow runs apply now and after each change of any setting, until ctx ends or
// apply fails. It returns the reason.
func (c *Service) Follow(ctx context.Context, apply func() error) error {
	for {
		c.mu.Lock()
		changed := c.changed
		c.mu.Unlock()
		if err := apply(); err != nil {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (c *Service) value(name string) any {
	if values := c.values.Load(); values != nil {
		return (*values)[name]
	}
	return nil
}

// follow reads the rows again whenever one has changed.
func (c *Service) follow(ctx context.Context) {
	defer close(c.ended)
	for {
		c.mu.Lock()
		since := c.loaded
		c.mu.Unlock()
		_, err := c.store.Engine().Watch(ctx, since, c.area)
		if err == nil {
			err = c.load(ctx)
		}
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			c.log("config: settings are no longer followed: %v", err)
			return
		}
	}
}

// load reads all rows and shows their values, unless newer ones are shown.
func (c *Service) load(ctx context.Context) error {
	return c.store.View(ctx, func(tx *table.Tx) error {
		values := map[string]any{}
		for name, d := range c.declared {
			row, err := Settings.Get(tx, name)
			if err != nil && !errors.Is(err, table.ErrNotFound) { // a restore may have hidden it
				return err
			}
			values[name] = c.effective(d, row.Value)
		}
		c.show(tx.Version(), values)
		return nil
	})
}

// effective returns the value that holds where a row has the given one.
func (c *Service) effective(d Declared, stored sql.Null[string]) any {
	text := d.describe().Default
	if stored.Valid {
		text = stored.V
	}
	if override, ok := c.override[d.Name()]; ok {
		text = override
	}
	v, err := d.parse(text)
	if err != nil {
		c.log("config: %s keeps its value: %v", d.Name(), err)
		return c.value(d.Name())
	}
	return v
}

func (c *Service) show(at engine.Version, values map[string]any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if at <= c.loaded {
		return
	}
	c.loaded = at
	if old := c.values.Load(); old != nil && reflect.DeepEqual(*old, values) {
		return
	}
	c.values.Store(&values)
	close(c.changed)
	c.changed = make(chan struct{})
}
