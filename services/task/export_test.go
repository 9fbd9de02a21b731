package task

import "context"

// Tick does what is due, as the goroutine of the timers does by itself.
func (s *Service) Tick(ctx context.Context) error {
	_, err := s.tick(ctx)
	return err
}
