package metric

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/store"
	"github.com/tuplix/tuplix/dbms/table"
	"github.com/tuplix/tuplix/services/config"
	"github.com/tuplix/tuplix/services/internal/listen"
	"github.com/tuplix/tuplix/services/metric/figure"
	"github.com/tuplix/tuplix/services/user"
)

// Options say how metrics are opened. The zero value is sensible.
type Options struct {
	Failed func(error) // takes why a sample is incomplete or missing; nil: nobody
}

// Service takes samples. All methods may be called concurrently.
type Service struct {
	store    *store.Store
	config   *config.Service
	registry *prometheus.Registry
	failed   func(error)
	server   *listen.Server
	end      context.CancelFunc
	ended    chan struct{}
}

// Open begins to take samples, until Close.
func Open(ctx context.Context, s *store.Store, c *config.Service, o Options) (*Service, error) {
	m := &Service{store: s, config: c, registry: prometheus.NewRegistry(), failed: o.Failed, ended: make(chan struct{})}
	if m.failed == nil {
		m.failed = func(error) {}
	}
	if err := m.registry.Register(collectors.NewGoCollector()); err != nil {
		return nil, err
	}
	for _, source := range append(figure.Provided(), ofStore(s.Engine())) {
		m.Add(source)
	}
	if err := m.prepare(ctx); err != nil {
		return nil, err
	}
	run, end := context.WithCancel(context.Background())
	m.end = end
	m.server = listen.Start(c, Listen, "metrics", m.serve, m.failed)
	go m.run(run)
	return m, nil
}

// Close ends taking samples and serving figures.
func (s *Service) Close() {
	s.server.End()
	s.end()
	<-s.ended
}

// Registry takes the figures of others.
func (s *Service) Registry() prometheus.Registerer { return s.registry }

// Handler serves the present figures to Prometheus.
func (s *Service) Handler() http.Handler {
	return promhttp.HandlerFor(s.registry, promhttp.HandlerOpts{})
}

func op(name string) *engine.Op {
	o := user.Caller{User: user.Root, Program: "metric"}.Op(name)
	o.NoWait, o.Untold = true, true
	return o
}

// prepare makes the tiers of a new store, and has the engine keep no more history
// of samples than it must.
func (s *Service) prepare(ctx context.Context) error {
	_, err := s.store.Update(ctx, op("metric.Open"), func(tx *table.Tx) error {
		if _, err := Tiers.First(tx, table.Span{}); !errors.Is(err, table.ErrNotFound) {
			return err
		}
		for _, t := range initial {
			if err := Tiers.Insert(tx, &t); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return s.store.Retain(ctx, op("metric.Open"), engine.MinRetention, Samples)
}

// run takes a sample at each step, and goes by the new step when it changes.
func (s *Service) run(ctx context.Context) {
	defer close(s.ended)
	steps := make(chan time.Duration)
	var follower sync.WaitGroup
	defer follower.Wait()
	follower.Go(func() {
		s.config.Follow(ctx, func() error {
			select {
			case steps <- Step.In(s.config):
			case <-ctx.Done():
			}
			return nil
		})
	})
	ticker := time.NewTicker(Step.In(s.config))
	defer ticker.Stop()
	for {
		select {
		case step := <-steps:
			ticker.Reset(step)
		case at := <-ticker.C:
			if err := s.Sample(ctx, at); err != nil && ctx.Err() == nil {
				s.failed(err)
			}
		case <-ctx.Done():
			return
		}
	}
}

// Sample takes one sample of everything, besides those that are taken by time. Its
// error is also about figures that could not be read; the others are stored.
func (s *Service) Sample(ctx context.Context, at time.Time) error {
	readings, incomplete := gather(s.registry)
	_, err := s.store.Update(ctx, op("metric.Sample"), func(tx *table.Tx) error {
		for i := range readings {
			if err := put(tx, &readings[i], at); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		err = s.roll(ctx, at)
	}
	if err = errors.Join(incomplete, err); err != nil {
		return fmt.Errorf("metric: the sample of %s: %w", at.Format(time.RFC3339), err)
	}
	return nil
}

// put stores a reading, under a new number if the series is new, or was one when
// the store was restored to.
func put(tx *table.Tx, r *reading, at time.Time) error {
	series, err := ByName.Get(tx, r.series.Name, r.series.Labels)
	if errors.Is(err, table.ErrNotFound) {
		series = r.series
		series.ID = 0
		err = AllSeries.Insert(tx, &series)
	}
	if err != nil {
		return err
	}
	v := r.value
	return Samples.Put(tx, &Sample{Series: series.ID, At: at, Value: v, Least: v, Most: v, Mean: v, Count: 1})
}
