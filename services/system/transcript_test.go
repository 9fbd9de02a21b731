package system_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/table"
	"github.com/tuplix/tuplix/services/config"
	"github.com/tuplix/tuplix/services/file"
	"github.com/tuplix/tuplix/services/internal/transcript"
	"github.com/tuplix/tuplix/services/log"
	"github.com/tuplix/tuplix/services/message"
	"github.com/tuplix/tuplix/services/metric"
	"github.com/tuplix/tuplix/services/system"
	"github.com/tuplix/tuplix/services/trace"
	"github.com/tuplix/tuplix/services/user"
)

// TestTranscripts runs the procedures of the small services, and those on all of the
// system.
func TestTranscripts(t *testing.T) {
	transcript.Run(t, "testdata/*.transcript", func(t *testing.T) func(string) string {
		s, err := system.Open(t.Context(), vfs.NewMem(), system.Options{Override: map[string]string{"metric.step": "1h", "log.age": "2h"}})
		must(t, err)
		x := &script{System: s, clock: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), moments: map[string]time.Time{}, gauge: prometheus.NewGauge(prometheus.GaugeOpts{Name: "depth", Help: "of the test"})}
		t.Cleanup(func() {
			must(t, s.Store.Check(context.Background(), func(p engine.Problem) { t.Error(p) }))
			must(t, s.Close())
		})
		must(t, s.Metric.Registry().Register(x.gauge))
		return x.verbs().Command(t, "test")
	})
}

type script struct {
	*system.System
	moments map[string]time.Time
	gauge   prometheus.Gauge
	clock   time.Time // of samples
}

func (x *script) verbs() transcript.Verbs {
	type line = transcript.Line
	return transcript.Verbs{
		"set": func(ctx context.Context, l line) (string, error) {
			value := l.Arg(1)
			return "", x.Config.Set(ctx, l.Arg(0), &value)
		},
		"unset": func(ctx context.Context, l line) (string, error) { return "", x.Config.Set(ctx, l.Arg(0), nil) },
		"set-both": func(ctx context.Context, l line) (string, error) {
			_, err := x.Store.Update(ctx, &engine.Op{Name: "both"}, func(tx *table.Tx) error {
				one, other := l.Arg(1), l.Arg(3)
				if err := x.Config.SetIn(tx, user.From(ctx), l.Arg(0), &one); err != nil {
					return err
				}
				return x.Config.SetIn(tx, user.From(ctx), l.Arg(2), &other)
			})
			return "", err
		},
		"settings": func(ctx context.Context, _ line) (string, error) { return x.settings(ctx) },
		"log": func(ctx context.Context, l line) (string, error) {
			level, err := strconv.Atoi(l.Arg(0))
			slog.New(x.Log.Handler()).Log(ctx, slog.Level(level), l.Options["text"], "n", l.Arg(1))
			return "", err
		},
		"read":    func(ctx context.Context, l line) (string, error) { return x.read(ctx, l) },
		"span":    func(ctx context.Context, l line) (string, error) { return x.span(ctx, l) },
		"measure": func(ctx context.Context, l line) (string, error) { return x.measure(ctx, l) },
		"mkdir": func(_ context.Context, l line) (string, error) {
			_, err := x.File.Root().Create(l.Arg(0), file.New{Mode: syscall.S_IFDIR | 0o755})
			return "", err
		},
		"user": func(ctx context.Context, l line) (string, error) {
			_, err := x.User.Create(ctx, l.Arg(0))
			return "", err
		},
		"mailbox": func(ctx context.Context, l line) (string, error) {
			return "", x.Message.CreateMailbox(ctx, message.Mailbox{Name: l.Arg(0)})
		},
		"send": func(ctx context.Context, l line) (string, error) {
			_, err := x.Message.Send(ctx, l.Arg(0), message.Outgoing{Body: []byte(l.Arg(1))})
			return "", err
		},
		"moment": func(ctx context.Context, l line) (string, error) {
			err := x.Sync(ctx)
			time.Sleep(2 * time.Millisecond) // so that it lies between two changes
			x.moments[l.Arg(0)] = time.Now()
			time.Sleep(2 * time.Millisecond)
			return "", err
		},
		"restore": func(ctx context.Context, l line) (string, error) {
			_, err := x.Restore(ctx, x.moments[l.Arg(0)], l.Arg(1) == "dry")
			return "", err
		},
		"restore-table": func(ctx context.Context, l line) (string, error) {
			_, err := x.RestoreTable(ctx, l.Arg(0), x.moments[l.Arg(1)], false)
			return "", err
		},
		"show": func(ctx context.Context, _ line) (string, error) { return x.show(ctx) },
	}
}

// settings shows those that are not as declared.
func (x *script) settings(ctx context.Context) (string, error) {
	var out strings.Builder
	err := x.Store.View(ctx, func(tx *table.Tx) error {
		for row, err := range config.Settings.Scan(tx, table.Span{}) {
			if err != nil {
				return err
			}
			if row.Value.Valid || row.Override.Valid {
				fmt.Fprintf(&out, "%s is %q, for this boot %q\n", row.Name, row.Value.V, row.Override.V)
			}
		}
		return nil
	})
	return out.String(), err
}

func (x *script) read(ctx context.Context, l transcript.Line) (string, error) {
	x.Log.Sync()
	var out strings.Builder
	for line, err := range x.Log.Read(ctx, log.Query{Least: slog.LevelDebug, Program: l.Options["program"]}) {
		if err != nil {
			return out.String(), err
		}
		fmt.Fprintf(&out, "%v %s %s by %s in %q, in a trace: %v\n", slog.Level(line.Level), line.Message, line.Attrs, line.User, line.Program, line.Trace.Valid)
	}
	return out.String(), nil
}

// span begins a span and one within it, says a line in that, and ends both.
func (x *script) span(ctx context.Context, l transcript.Line) (string, error) {
	outer, a := x.Trace.Start(ctx, l.Arg(0), slog.String("kind", "outer"))
	inner, b := x.Trace.Start(outer, l.Arg(1))
	slog.New(x.Log.Handler()).InfoContext(inner, "within")
	b.Set(slog.Int("n", 1))
	b.End(errors.New("it failed"))
	b.End(nil)
	a.End(nil)
	rows := map[string]trace.Row{}
	err := x.await(ctx, trace.Spans.Name(), func(tx *table.Tx) (bool, error) {
		for r, err := range trace.ByStart.Scan(tx, table.Span{}) {
			if err != nil {
				return false, err
			}
			rows[r.Name] = r
		}
		return len(rows) == 2, nil
	})
	if err != nil {
		return "", err
	}
	o, i := rows[l.Arg(0)], rows[l.Arg(1)]
	return fmt.Sprintf("%s %s %q by %s\n%s %s %q, within the first: %v", o.Name, o.Attrs, o.Error, o.User,
		i.Name, i.Attrs, i.Error, i.Trace == o.Trace && i.Parent == o.Span), nil
}

// await waits until what the other services write by themselves is there.
func (x *script) await(ctx context.Context, name string, look func(tx *table.Tx) (bool, error)) error {
	for {
		var at engine.Version
		var area engine.Range
		done := false
		err := x.Store.View(ctx, func(tx *table.Tx) error {
			at = tx.Version()
			rows, err := tx.Rows(name)
			if err == nil {
				area, err = rows.Range(table.Span{})
			}
			if err == nil {
				done, err = look(tx)
			}
			return err
		})
		if err != nil || done {
			return err
		}
		if _, err := x.Store.Engine().Watch(ctx, at, area); err != nil {
			return err
		}
	}
}

// measure takes a sample of all figures, an hour after the last, and shows the test's.
func (x *script) measure(ctx context.Context, l transcript.Line) (string, error) {
	value, err := strconv.ParseFloat(l.Arg(0), 64)
	if err != nil {
		return "", err
	}
	x.gauge.Set(value)
	x.clock = x.clock.Add(time.Hour)
	if err := x.Metric.Sample(ctx, x.clock); err != nil {
		return "", err
	}
	var out strings.Builder
	err = x.Store.View(ctx, func(tx *table.Tx) error {
		for series, err := range metric.AllSeries.Scan(tx, table.Span{}) {
			if err != nil {
				return err
			}
			if series.Name != "depth" {
				continue
			}
			fmt.Fprintln(&out, series.Kind, series.Name, series.Doc)
			for s, err := range metric.Samples.Scan(tx, table.Prefix(series.ID)) {
				if err != nil {
					return err
				}
				fmt.Fprintln(&out, s.Step, s.At.UTC().Format(time.DateTime), s.Value, "of", s.Count)
			}
		}
		return nil
	})
	return out.String(), err
}

// show lists users, directories and what mailboxes hold.
func (x *script) show(ctx context.Context) (string, error) {
	var out strings.Builder
	err := x.Store.View(ctx, func(tx *table.Tx) error {
		for u, err := range user.Users.Scan(tx, table.Span{}) {
			if err != nil {
				return err
			}
			fmt.Fprintln(&out, "user", u.Name)
		}
		for c, err := range message.Counts.Scan(tx, table.Span{}) {
			if err != nil {
				return err
			}
			messages, _, err := message.Holds(tx, c.Mailbox)
			if err != nil {
				return err
			}
			fmt.Fprintln(&out, "mailbox", c.Mailbox, "with", messages)
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	var names []string
	err = x.File.Root().ReadDir(0, func(e file.Entry) bool {
		if !strings.HasPrefix(e.Name, ".") {
			names = append(names, e.Name)
		}
		return true
	})
	slices.Sort(names)
	for _, name := range names {
		fmt.Fprintln(&out, "directory", name)
	}
	return out.String(), err
}
