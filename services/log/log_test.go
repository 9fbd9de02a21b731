package log_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"sync"
	"testing"
	"testing/slogtest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/store"
	"github.com/tuplix/tuplix/dbms/table"
	"github.com/tuplix/tuplix/services/config"
	"github.com/tuplix/tuplix/services/log"
	"github.com/tuplix/tuplix/services/user"
)

type system struct {
	*store.Store
	config *config.Service
	log    *log.Service
}

func open(t *testing.T, fs vfs.FS, o log.Options) *system {
	t.Helper()
	s, err := store.Open(t.Context(), fs, store.Options{}, append(append(config.Tables(), user.Tables()...), log.Tables()...)...)
	if err != nil {
		t.Fatal(err)
	}
	c, err := config.Open(t.Context(), s, config.Options{}, log.Settings()...)
	if err != nil {
		t.Fatal(err)
	}
	if o.Failed == nil {
		o.Failed = func(err error) { t.Error(err) }
	}
	l, err := log.Open(t.Context(), s, c, o)
	if err != nil {
		t.Fatal(err)
	}
	return &system{s, c, l}
}

func (s *system) close(t *testing.T) {
	t.Helper()
	s.log.Close()
	s.config.Close()
	err := s.Check(t.Context(), func(p engine.Problem) { t.Error(p) })
	if err := errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
}

func (s *system) read(t *testing.T, q log.Query) (lines []log.Line) {
	t.Helper()
	for l, err := range s.log.Read(t.Context(), q) {
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, l)
	}
	return lines
}

// written are all lines in the order in which they were written.
func (s *system) written(t *testing.T) (lines []log.Line) {
	t.Helper()
	err := s.View(t.Context(), func(tx *table.Tx) error {
		for l, err := range log.Lines.Scan(tx, table.Span{}) {
			if err != nil {
				return err
			}
			lines = append(lines, l)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

func messages(lines []log.Line) string {
	var texts []string
	for _, l := range lines {
		texts = append(texts, l.Message)
	}
	return strings.Join(texts, " ")
}

// TestHandler holds the handler against what log/slog asks of one.
func TestHandler(t *testing.T) {
	untold := time.Now().Add(time.Hour) // stands for a record without a time
	s := open(t, vfs.NewMem(), log.Options{Now: func() time.Time { return untold }})
	defer s.close(t)
	err := slogtest.TestHandler(s.log.Handler(), func() (results []map[string]any) {
		s.log.Sync()
		for _, l := range s.written(t) {
			m := map[string]any{}
			if err := json.Unmarshal(l.Attrs, &m); err != nil {
				t.Fatal(err)
			}
			m[slog.LevelKey], m[slog.MessageKey] = slog.Level(l.Level), l.Message
			if l.At.Before(untold.Add(-time.Second)) {
				m[slog.TimeKey] = l.At
			}
			results = append(results, m)
		}
		return results
	})
	if err != nil {
		t.Error(err)
	}
}

type loud struct{}

func (loud) MarshalJSON() ([]byte, error) { return nil, errors.New("no JSON of this") }

// Values that JSON has no form for do not lose the line.
func TestValues(t *testing.T) {
	s := open(t, vfs.NewMem(), log.Options{})
	defer s.close(t)
	l := slog.New(s.log.Handler())
	l.Info("a", "nan", math.NaN(), "err", errors.New("bad"), "chan", make(chan int), "time", time.Second)
	l.Info("b", "loud", loud{})
	l.Info(strings.Repeat("long", 100_000), "x", 1)
	lines := s.read(t, log.Query{})
	if len(lines) != 3 {
		t.Fatalf("%d lines", len(lines))
	}
	var m map[string]string
	if err := json.Unmarshal(lines[0].Attrs, &m); err != nil || m["nan"] != "NaN" || m["err"] != "bad" || m["time"] != "1s" || m["chan"] == "" {
		t.Errorf("attributes: %s (%v)", lines[0].Attrs, err)
	}
	if !strings.Contains(string(lines[1].Attrs), "no JSON of this") {
		t.Errorf("attributes: %s", lines[1].Attrs)
	}
	if n := len(lines[2].Message); n < 60_000 || n > 64<<10 {
		t.Errorf("a line of %d bytes", n)
	}
}

// Lines are there after a crash once Sync has returned, with who said them, and at
// the state that they saw.
func TestDurable(t *testing.T) {
	fs := vfs.NewCrashableMem()
	s := open(t, fs, log.Options{})
	ctx := user.With(t.Context(), user.Caller{User: "ann", Program: "shop", Task: "7"})
	note := func(text string) {
		_, err := s.Update(ctx, nil, func(tx *table.Tx) error {
			return user.Grants.Put(tx, &user.Grant{Principal: text, Kind: user.KindSystem, Right: user.Read, Object: "x"})
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	note("before")
	slog.New(s.log.Handler()).WarnContext(ctx, "one", "n", 1)
	note("after")
	s.log.Sync()
	crashed := fs.CrashClone(vfs.CrashCloneCfg{})
	s.close(t)

	s = open(t, crashed, log.Options{})
	defer s.close(t)
	slog.New(s.log.Handler()).Info("two")
	lines := s.read(t, log.Query{})
	if messages(lines) != "one two" {
		t.Fatalf("lines: %s", messages(lines))
	}
	l := lines[0]
	if l.User != "ann" || l.Program != "shop" || l.Task != "7" || l.Level != 4 || !strings.HasPrefix(l.Source, "log_test.go:") {
		t.Errorf("the line is %+v", l)
	}
	err := s.ViewAt(t.Context(), engine.Version(l.Version), func(tx *table.Tx) error {
		var have []string
		for g, err := range user.Grants.Scan(tx, table.Span{}) {
			if err != nil {
				return err
			}
			have = append(have, g.Principal)
		}
		if fmt.Sprint(have) != "[before]" {
			t.Errorf("at the line's version: %v", have)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestRead(t *testing.T) {
	s := open(t, vfs.NewMem(), log.Options{})
	defer s.close(t)
	l := slog.New(s.log.Handler())
	for i := range 10 {
		l.Log(user.With(t.Context(), user.Caller{User: "ann", Program: fmt.Sprint("p", i%2)}), slog.Level(i%3*4), fmt.Sprint(i))
	}
	for _, c := range []struct {
		q    log.Query
		want string
	}{
		{log.Query{}, "0 1 2 3 4 5 6 7 8 9"},
		{log.Query{Least: slog.LevelWarn}, "1 2 4 5 7 8"},
		{log.Query{Last: 3}, "7 8 9"},
		{log.Query{Last: 2, Least: slog.LevelError}, "5 8"},
		{log.Query{Last: 100, Program: "p1"}, "1 3 5 7 9"},
	} {
		if have := messages(s.read(t, c.q)); have != c.want {
			t.Errorf("%+v: %s, want %s", c.q, have, c.want)
		}
	}
	middle := s.read(t, log.Query{})[5].At
	before, after := len(s.read(t, log.Query{To: middle})), len(s.read(t, log.Query{From: middle}))
	if before > 5 || after < 5 || before+after != 10 {
		t.Errorf("%d before, %d after", before, after)
	}
	ann := user.With(t.Context(), user.Caller{User: "ann"})
	for _, err := range s.log.Read(ann, log.Query{}) {
		if !errors.Is(err, user.ErrDenied) {
			t.Errorf("without a right: %v", err)
		}
	}
}

// Who follows misses nothing, whoever else writes.
func TestFollow(t *testing.T) {
	s := open(t, vfs.NewMem(), log.Options{})
	defer s.close(t)
	const writers, each = 4, 250
	l := slog.New(s.log.Handler())
	l.Info("first")
	var wg sync.WaitGroup
	next := [writers]int{}
	seen := 0
	for line, err := range s.log.Read(t.Context(), log.Query{Last: 1, Follow: true}) {
		if err != nil {
			t.Fatal(err)
		}
		if line.Message == "first" {
			for w := range writers {
				wg.Go(func() {
					for i := range each {
						l.Info(fmt.Sprint(w, " ", i))
					}
				})
			}
			continue
		}
		var w, i int
		if _, err := fmt.Sscan(line.Message, &w, &i); err != nil {
			t.Fatal(err)
		}
		if i != next[w] {
			t.Fatalf("line %d of writer %d, want %d", i, w, next[w])
		}
		next[w]++
		if seen++; seen == writers*each {
			break
		}
	}
	wg.Wait()
}

func TestTrim(t *testing.T) {
	now := time.Now()
	s := open(t, vfs.NewMem(), log.Options{Now: func() time.Time { return now }})
	defer s.close(t)
	for name, value := range map[string]string{"log.size": "64KiB", "log.age": "1h"} {
		if err := s.config.Set(t.Context(), name, &value); err != nil {
			t.Fatal(err)
		}
	}
	l := slog.New(s.log.Handler())
	for i := range 3000 {
		l.Info(fmt.Sprint(i, " ", strings.Repeat("x", 100)))
	}
	lines := s.read(t, log.Query{})
	if len(lines) < 64<<10/300 || len(lines) > 64<<10/200*17/16+1 || !strings.HasPrefix(lines[len(lines)-1].Message, "2999 ") {
		t.Errorf("%d lines are left, the last is %.10s", len(lines), lines[len(lines)-1].Message)
	}
	now = now.Add(2 * time.Hour)
	s.log.Handler().Handle(t.Context(), slog.Record{Time: now, Message: "late"})
	if have := messages(s.read(t, log.Query{})); have != "late" {
		t.Errorf("after two hours: %.60s", have)
	}
}

// A log whose store does not keep up loses lines, says so, and never waits.
func TestLost(t *testing.T) {
	s := open(t, vfs.NewMem(), log.Options{})
	defer s.close(t)
	held, release := make(chan struct{}), make(chan struct{})
	go func() {
		_, err := s.Update(context.Background(), nil, func(*table.Tx) error {
			close(held)
			<-release
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}()
	<-held
	l := slog.New(s.log.Handler())
	for range 1000 {
		l.Error(strings.Repeat("x", 10_000))
	}
	close(release)
	lines := s.read(t, log.Query{})
	last := lines[len(lines)-1]
	var lost int
	if _, err := fmt.Sscanf(last.Message, "%d lines were lost", &lost); err != nil || len(lines)-1+lost != 1000 {
		t.Errorf("%d lines, the last says %q", len(lines), last.Message)
	}
}

func TestKernel(t *testing.T) {
	var text strings.Builder
	booted := time.Now().Add(-time.Hour).Truncate(time.Second)
	s := open(t, vfs.NewMem(), log.Options{Booted: booted, Kernel: func(position uint64) ([]byte, uint64) {
		return []byte(text.String()[position:]), uint64(text.Len())
	}})
	defer s.close(t)
	text.WriteString("[0.250] boot\nwithout a time\n[1.5] hal")
	s.log.Sync()
	text.WriteString("f a line\n")
	lines := s.read(t, log.Query{})
	want := []struct {
		at      time.Time
		message string
	}{{booted.Add(250 * time.Millisecond), "boot"}, {booted.Add(1500 * time.Millisecond), "half a line"}, {time.Time{}, "without a time"}}
	if len(lines) != len(want) {
		t.Fatalf("lines: %v", messages(lines))
	}
	for i, w := range want {
		if lines[i].Message != w.message || lines[i].Source != "kernel" || !w.at.IsZero() && !lines[i].At.Equal(w.at) {
			t.Errorf("line %d is %+v", i, lines[i])
		}
	}
}
