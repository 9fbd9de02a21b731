// Package dhcp is the client side of DHCP for IPv4 (RFC 2131): it acquires a
// lease, renews it, rebinds it, and notices its end.
//
// It owns the protocol's state and its timing. It imports the message codec of
// github.com/insomniacslk/dhcp and nothing of the system: it opens no socket,
// reads no clock and starts no goroutine. Its owner tells it the time and the
// messages that arrived, and does what it answers; so a test runs days of
// lease in microseconds.
//
//	    Start
//	      |
//	      v   DISCOVER (retransmitted)
//	+- Selecting <-----------------------------+
//	|     | OFFER                              |
//	|     v   REQUEST (retransmitted)          | NAK, no answer,
//	|  Requesting -----------------------------+ lease over (Lost)
//	|     | ACK: Bound                         |
//	|     v                                    |
//	|  Bound <------+  ACK: Bound              |
//	|     | T1      |                          |
//	|     v         |                          |
//	|  Renewing ----+  REQUEST to the server --+
//	|     | T2      |                          |
//	|     v         |                          |
//	+- Rebinding ---+  REQUEST to everyone ----+
//
// It guarantees that a message is acted on only when it answers this client's
// transaction, names this client's hardware address, and carries a usable
// address; everything else is dropped. It refuses servers that offer no lease
// time, unusable masks, or addresses that cannot be a host's.
package dhcp
