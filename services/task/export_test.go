package task

import (
	"context"

	"github.com/tuplix/tuplix/dbms/engine"
)

// Tick does what is due, as the goroutine of the timers does by itself.
func (s *Service) Tick(ctx context.Context) error {
	_, err := s.tick(ctx)
	return err
}

// Metrics are those of the engine below.
func (s *Service) Metrics() engine.Metrics { return s.store.Engine().Metrics() }
