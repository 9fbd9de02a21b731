package metric_test

import (
	"bufio"
	"context"
	"errors"
	"math"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/store"
	"github.com/tuplix/tuplix/dbms/table"
	"github.com/tuplix/tuplix/services/config"
	"github.com/tuplix/tuplix/services/metric"
	"github.com/tuplix/tuplix/services/user"
)

type system struct {
	*store.Store
	config *config.Service
	metric *metric.Service
	close  func()
}

// open opens metrics of which no sample is taken by time.
func open(t *testing.T, fs vfs.FS) *system {
	t.Helper()
	return openAt(t, fs, "1h")
}

func openAt(t *testing.T, fs vfs.FS, step string) *system {
	t.Helper()
	s, err := store.Open(t.Context(), fs, store.Options{}, append(append(config.Tables(), user.Tables()...), metric.Tables()...)...)
	if err != nil {
		t.Fatal(err)
	}
	c, err := config.Open(t.Context(), s, config.Options{}, metric.Settings()...)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Set(t.Context(), metric.Step.Name(), &step); err != nil {
		t.Fatal(err)
	}
	m, err := metric.Open(t.Context(), s, c, metric.Options{Failed: func(err error) { t.Error(err) }})
	if err != nil {
		t.Fatal(err)
	}
	return &system{s, c, m, func() {
		m.Close()
		c.Close()
		err := s.Check(t.Context(), func(p engine.Problem) { t.Error(p) })
		if err := errors.Join(err, s.Close()); err != nil {
			t.Fatal(err)
		}
	}}
}

func (s *system) sample(t *testing.T, at time.Time) {
	t.Helper()
	if err := s.metric.Sample(t.Context(), at); err != nil {
		t.Fatal(err)
	}
}

// samples reads a series in a tier.
func (s *system) samples(t *testing.T, name, labels string, step time.Duration) (out []metric.Sample) {
	t.Helper()
	err := s.View(t.Context(), func(tx *table.Tx) error {
		series, err := metric.ByName.Get(tx, name, labels)
		if err != nil {
			return err
		}
		for x, err := range metric.Samples.Scan(tx, table.Prefix(series.ID, step)) {
			if err != nil {
				return err
			}
			out = append(out, x)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// await waits until there is a sample of a later time.
func (s *system) await(t *testing.T, begin time.Time) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		var at engine.Version
		var area engine.Range
		found := false
		err := s.View(ctx, func(tx *table.Tx) (err error) {
			at, found = tx.Version(), false
			for x, err := range metric.Samples.Scan(tx, table.Span{}) {
				if err != nil {
					return err
				}
				found = found || x.At.After(begin)
			}
			area, err = metric.Samples.Range(tx, table.Span{})
			return err
		})
		if err == nil && found {
			return
		}
		if err == nil {
			_, err = s.Engine().Watch(ctx, at, area)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// Samples are taken by time, at the step that is set while the service runs, and at the
// one that it finds.
func TestSteps(t *testing.T) {
	fs, step := vfs.NewMem(), "1s"
	s := open(t, fs)
	begin := time.Now()
	if err := s.config.Set(t.Context(), metric.Step.Name(), &step); err != nil {
		t.Fatal(err)
	}
	s.await(t, begin)
	s.close()
	begin = time.Now()
	s = openAt(t, fs, step)
	s.await(t, begin)
	s.await(t, begin.Add(time.Second))
	s.close()
}

// Samples become coarser and go, as the tiers say, also when the system is closed
// and opened again in between.
func TestTiers(t *testing.T) {
	fs := vfs.NewMem()
	s := open(t, fs)
	_, err := s.Update(t.Context(), nil, func(tx *table.Tx) error {
		fine, err := metric.Tiers.Get(tx, time.Duration(0))
		fine.Keep = 20 * time.Minute
		return errors.Join(err, metric.Tiers.Update(tx, &fine))
	})
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	now, minute := begin, 0
	run := func(minutes int) {
		g := prometheus.NewGauge(prometheus.GaugeOpts{Name: "minutes", Help: "How many."})
		s.metric.Registry().MustRegister(g)
		for range minutes {
			now, minute = now.Add(time.Minute), minute+1
			g.Set(float64(minute))
			s.sample(t, now)
		}
		s.close()
	}
	run(63)
	s = open(t, fs)
	run(59)
	s = open(t, fs)
	defer s.close()

	fine := s.samples(t, "minutes", "", 0)
	if n := len(fine); n != 23 || fine[n-1].Value != 122 || !fine[n-1].At.Equal(begin.Add(122*time.Minute)) {
		t.Errorf("%d fine samples are left, the last is %+v", n, fine[n-1])
	}
	middle := s.samples(t, "minutes", "", 5*time.Minute)
	if len(middle) != 24 {
		t.Fatalf("%d samples of 5 minutes", len(middle))
	}
	for i, x := range middle {
		end := float64(5 * (i + 1))
		want := metric.Sample{Step: 5 * time.Minute, Series: x.Series, At: begin.Add(time.Duration(i+1) * 5 * time.Minute),
			Value: end, Least: end - 4, Most: end, Mean: end - 2, Count: 5}
		if x != want {
			t.Errorf("sample %d is %+v, want %+v", i, x, want)
		}
	}
	hours := s.samples(t, "minutes", "", time.Hour)
	if len(hours) != 2 || hours[1].Value != 120 || hours[1].Least != 61 || hours[1].Mean != 90.5 || hours[1].Count != 60 {
		t.Errorf("hours: %+v", hours)
	}
}

func TestKinds(t *testing.T) {
	s := open(t, vfs.NewMem())
	h := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "wait", Help: "Waits.", Buckets: []float64{1, 2}}, []string{"who", "a"})
	s.metric.Registry().MustRegister(h)
	h.WithLabelValues(`x"y`, "b").Observe(1.5)
	s.sample(t, time.Now())
	for labels, want := range map[string]float64{`a="b",le="1",who="x\"y"`: 0, `a="b",le="2",who="x\"y"`: 1} {
		if x := s.samples(t, "wait_bucket", labels, 0); len(x) == 0 || x[0].Value != want {
			t.Errorf("%s: %+v", labels, x)
		}
	}
	if x := s.samples(t, "wait_sum", `a="b",who="x\"y"`, 0); x[0].Value != 1.5 {
		t.Errorf("sum: %+v", x)
	}
	if x := s.samples(t, "store_commits_total", "", 0); x[0].Value < 1 || math.IsNaN(x[0].Value) {
		t.Errorf("commits: %+v", x)
	}
	if x := s.samples(t, "go_goroutines", "", 0); x[0].Value < 1 {
		t.Errorf("goroutines: %+v", x)
	}
	s.close()
}

func TestPrometheus(t *testing.T) {
	s := open(t, vfs.NewMem())
	defer s.close()
	w := httptest.NewRecorder()
	s.metric.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	found := map[string]bool{}
	for lines := bufio.NewScanner(w.Body); lines.Scan(); {
		name, _, _ := strings.Cut(lines.Text(), " ")
		found[name] = true
	}
	for _, name := range []string{"go_goroutines", "store_commits_total", `store_level_bytes{level="6"}`} {
		if !found[name] {
			t.Errorf("%s is not served", name)
		}
	}
}
