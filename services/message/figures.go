package message

import "github.com/tuplix/tuplix/services/metric/figure"

// Figures are those of the messages since the service was opened.
func (s *Service) Figures() []figure.Value {
	s.mu.Lock()
	defer s.mu.Unlock()
	return []figure.Value{
		figure.Counter("message_written_total", "Messages of mailboxes that were sent, leased or given back.", s.written),
		figure.Counter("message_removed_total", "Messages of mailboxes that were acknowledged, taken, or went to the dead ones.", s.removed),
		figure.Counter("message_published_total", "Messages of topics that were published.", s.publications),
		figure.Gauge("message_waiting", "Receivers and senders that wait.", s.waiting),
	}
}
