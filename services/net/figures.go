package net

import "github.com/tuplix/tuplix/services/metric/figure"

// Figures are those of the interfaces and of TCP since boot.
func (s *Service) Figures() []figure.Value {
	snap := s.Snapshot()
	list := []figure.Value{
		figure.Counter("net_denied_frames_total", "Frames that the firewall did not admit.", snap.Denied),
		figure.Gauge("net_tcp_established", "TCP connections that are established.", snap.TCP.Established),
		figure.Counter("net_tcp_opened_total", "TCP connections that were begun here.", snap.TCP.ActiveOpens),
		figure.Counter("net_tcp_accepted_total", "TCP connections that were begun by others.", snap.TCP.PassiveOpens),
		figure.Counter("net_tcp_retransmitted_total", "TCP segments that were sent again.", snap.TCP.Retransmits),
		figure.Counter("net_tcp_resets_total", "TCP connections that were reset.", snap.TCP.Resets),
	}
	for i := range snap.Interfaces {
		of := &snap.Interfaces[i]
		for _, v := range []figure.Value{
			figure.Counter("net_received_frames_total", "Frames that came in.", of.Counters.RxPackets),
			figure.Counter("net_received_bytes_total", "Bytes that came in.", of.Counters.RxBytes),
			figure.Counter("net_sent_frames_total", "Frames that went out.", of.Counters.TxPackets),
			figure.Counter("net_sent_bytes_total", "Bytes that went out.", of.Counters.TxBytes),
			figure.Counter("net_unsent_frames_total", "Frames that were to go out and were dropped.", of.Counters.TxDropped),
		} {
			list = append(list, v.With("device", of.Name))
		}
	}
	return list
}
