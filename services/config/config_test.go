package config_test

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/store"
	"github.com/tuplix/tuplix/dbms/table"
	"github.com/tuplix/tuplix/services/config"
	"github.com/tuplix/tuplix/services/user"
)

var (
	age   = config.Between(config.Duration("log.age", 7*24*time.Hour, "How long lines are kept."), time.Minute, 1000*time.Hour)
	level = config.OneOf(config.Text("log.level", "info", "What is kept."), "debug", "info", "warn")
	limit = config.Size("log.limit", 64<<20, "How large the log grows.")
)

func open(t *testing.T, fs vfs.FS, o config.Options) (*store.Store, *config.Service) {
	t.Helper()
	s, err := store.Open(t.Context(), fs, store.Options{}, append(config.Tables(), user.Tables()...)...)
	if err != nil {
		t.Fatal(err)
	}
	c, err := config.Open(t.Context(), s, o, age, level, limit)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Close()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s, c
}

func text(s string) *string { return &s }

// until waits for a value by Follow.
func until(t *testing.T, c *config.Service, ok func() bool) {
	t.Helper()
	reached := errors.New("reached")
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	err := c.Follow(ctx, func() error {
		if ok() {
			return reached
		}
		return nil
	})
	if err != reached {
		t.Fatal(err)
	}
}

func TestSet(t *testing.T) {
	fs := vfs.NewMem()
	s, c := open(t, fs, config.Options{Override: map[string]string{"log.limit": "1GiB"}})
	if age.In(c) != 7*24*time.Hour || level.In(c) != "info" || limit.In(c) != 1<<30 {
		t.Fatalf("at first: %v %v %v", age.In(c), level.In(c), limit.In(c))
	}
	for name, value := range map[string]string{"log.age": "2d12h", "log.level": "warn", "log.limit": "4KiB"} {
		if err := c.Set(t.Context(), name, text(value)); err != nil {
			t.Fatal(err)
		}
	}
	if age.In(c) != 60*time.Hour || level.In(c) != "warn" || limit.In(c) != 1<<30 {
		t.Fatalf("after Set: %v %v %v", age.In(c), level.In(c), limit.In(c))
	}
	for name, value := range map[string]string{"log.age": "1s", "log.level": "loud", "log.limit": "9999999999GiB", "log.agee": "1h"} {
		err := c.Set(t.Context(), name, text(value))
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s = %s: %v", name, value, err)
		}
	}
	if err := c.Set(t.Context(), "log.age", nil); err != nil || age.In(c) != 7*24*time.Hour {
		t.Errorf("reset: %v, %v", age.In(c), err)
	}
	err := s.View(t.Context(), func(tx *table.Tx) error {
		row, err := config.Settings.Get(tx, "log.limit")
		want := config.Row{
			Name: "log.limit", Value: sql.Null[string]{V: "4KiB", Valid: true}, Override: sql.Null[string]{V: "1GiB", Valid: true},
			Type: "size", Default: "64MiB", Doc: "How large the log grows.",
		}
		if row != want {
			t.Errorf("the row is %+v", row)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestDenied(t *testing.T) {
	s, c := open(t, vfs.NewMem(), config.Options{})
	ann := user.With(t.Context(), user.Caller{User: "ann"})
	if err := c.Set(ann, "log.level", text("warn")); !errors.Is(err, user.ErrDenied) {
		t.Errorf("without a right: %v", err)
	}
	_, err := s.Update(t.Context(), nil, func(tx *table.Tx) error {
		return user.Grants.Insert(tx, &user.Grant{Principal: "ann", Kind: user.KindSystem, Right: user.Write, Object: "config"})
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Set(ann, "log.level", text("warn")); err != nil || level.In(c) != "warn" {
		t.Errorf("with it: %v", err)
	}
}

// What others write to the table takes effect, as does a restore; what does not
// parse leaves the value alone.
func TestFollow(t *testing.T) {
	said := make(chan string, 10)
	s, c := open(t, vfs.NewMem(), config.Options{Log: func(format string, args ...any) { said <- format }})
	var before engine.Version
	write := func(value string) {
		v, err := s.Update(t.Context(), nil, func(tx *table.Tx) error {
			row, err := config.Settings.Get(tx, "log.level")
			row.Value = sql.Null[string]{V: value, Valid: true}
			return errors.Join(err, config.Settings.Update(tx, &row))
		})
		if err != nil {
			t.Fatal(err)
		}
		if before == "" {
			before = v
		}
	}
	write("debug")
	until(t, c, func() bool { return level.In(c) == "debug" })
	write("nonsense")
	<-said
	if level.In(c) != "debug" {
		t.Errorf("took %q", level.In(c))
	}
	write("warn")
	until(t, c, func() bool { return level.In(c) == "warn" })
	if _, err := s.Restore(t.Context(), nil, store.Target{}, before); err != nil {
		t.Fatal(err)
	}
	until(t, c, func() bool { return level.In(c) == "debug" })
}

func TestOpenRefuses(t *testing.T) {
	s, _ := open(t, vfs.NewMem(), config.Options{})
	for _, o := range []config.Options{
		{Override: map[string]string{"log.limit": "much"}},
		{Override: map[string]string{"nothing": "1"}},
	} {
		if _, err := config.Open(t.Context(), s, o, limit); err == nil || !strings.Contains(err.Error(), "command line") {
			t.Errorf("%v: %v", o.Override, err)
		}
	}
	if _, err := config.Open(t.Context(), s, config.Options{}, limit, limit); err == nil {
		t.Error("two settings of one name were taken")
	}
}

// A size that is taken from a text is written as a text that is taken for it.
func FuzzSize(f *testing.F) {
	for _, s := range []string{"0", "1", "64KiB", "3 MiB", "-1", "9223372036854775807", "8589934592GiB", "-8589934592GiB"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, size string) {
		n, err := config.ParseSize(size)
		if err != nil {
			return
		}
		text := config.FormatSize(n)
		if again, err := config.ParseSize(text); err != nil || again != n {
			t.Errorf("%q is %d, written as %q, which is %d, %v", size, n, text, again, err)
		}
	})
}
