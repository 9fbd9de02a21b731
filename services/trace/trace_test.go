package trace_test

import (
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/store"
	"github.com/tuplix/tuplix/dbms/table"
	"github.com/tuplix/tuplix/services/config"
	"github.com/tuplix/tuplix/services/log"
	"github.com/tuplix/tuplix/services/trace"
	"github.com/tuplix/tuplix/services/user"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// open opens a store with spans. Closing the service writes what has ended.
func open(t *testing.T, override map[string]string, now func() time.Time) (*store.Store, *trace.Service) {
	t.Helper()
	s, err := store.Open(t.Context(), vfs.NewMem(), store.Options{}, slices.Concat(trace.Tables(), config.Tables())...)
	must(t, err)
	c, err := config.Open(t.Context(), s, config.Options{Override: override}, trace.Settings()...)
	must(t, err)
	x, err := trace.Open(t.Context(), s, c, trace.Options{Now: now, Failed: func(err error) { t.Error(err) }})
	must(t, err)
	t.Cleanup(func() {
		c.Close()
		must(t, s.Close())
	})
	return s, x
}

func spans(t *testing.T, s *store.Store) (list []trace.Row) {
	t.Helper()
	must(t, s.View(t.Context(), func(tx *table.Tx) error {
		for r, err := range trace.ByStart.Scan(tx, table.Span{}) {
			if err != nil {
				return err
			}
			list = append(list, r)
		}
		return nil
	}))
	must(t, s.Check(t.Context(), func(p engine.Problem) { t.Error(p) }))
	return list
}

// Spans within others are of one trace, also across systems, and say how they ended.
func TestSpans(t *testing.T) {
	s, x := open(t, nil, nil)
	ctx := user.With(t.Context(), user.Caller{User: "ann", Program: "shop"})
	outer, order := x.Start(ctx, "order", slog.Int("id", 7))
	inner, pay := x.Start(outer, "pay")
	there, err := trace.Remote(t.Context(), trace.Header(inner))
	must(t, err)
	_, far := x.Start(there, "far away")
	far.End(nil)
	pay.Set(slog.String("by", "card"), slog.Duration("took", time.Second), slog.Any("huge", strings.Repeat("x", 20<<10)))
	pay.End(errors.New("no money"))
	pay.End(nil)
	order.End(nil)
	if trace.Header(t.Context()) != "" {
		t.Error("there is a header without a span")
	}
	x.Close()
	list := spans(t, s)
	if len(list) != 3 {
		t.Fatalf("%d spans", len(list))
	}
	a, b, c := list[0], list[1], list[2]
	id, span, ok := log.SpanFrom(inner)
	if a.Name != "order" || a.User != "ann" || a.Program != "shop" || string(a.Attrs) != `{"id":7}` || a.Parent != 0 || a.Error != "" || a.End.Before(a.Start) {
		t.Errorf("%+v", a)
	}
	if b.Parent != a.Span || b.Trace != a.Trace || b.Error != "no money" || !strings.Contains(string(b.Attrs), "left_out") || !ok || id != b.Trace || span != b.Span {
		t.Errorf("%+v", b)
	}
	if c.Parent != b.Span || c.Trace != a.Trace || c.Name != "far away" {
		t.Errorf("%+v", c)
	}
}

// What is too much or too old goes, the oldest first.
func TestTrim(t *testing.T) {
	now := time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)
	s, x := open(t, map[string]string{"trace.most": "10", "trace.age": "1h"}, func() time.Time { return now })
	for range 30 {
		_, span := x.Start(t.Context(), "x")
		now = now.Add(5 * time.Minute)
		span.End(nil)
	}
	_, span := x.Start(t.Context(), "last")
	now = now.Add(40 * time.Minute)
	span.End(nil)
	x.Close()
	list := spans(t, s)
	if len(list) != 5 || list[len(list)-1].Name != "last" { // of the last hour: 4 and the last
		t.Errorf("%d spans are left", len(list))
	}
}

func FuzzHeader(f *testing.F) {
	f.Add("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	f.Add("01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more")
	f.Add("00-00000000000000000000000000000000-b7ad6b7169203331-01")
	f.Add("ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	f.Add("")
	f.Fuzz(func(t *testing.T, header string) {
		ctx, err := trace.Remote(t.Context(), header)
		again := trace.Header(ctx)
		if (err == nil) != (again != "") {
			t.Errorf("%q: %v, %q", header, err, again)
		}
		if err == nil && again[3:52] != header[3:52] {
			t.Errorf("%q became %q", header, again)
		}
	})
}
