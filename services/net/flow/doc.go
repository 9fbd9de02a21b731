// Package flow knows who listens and who is connected, in memory.
//
// The sockets (package linux) enter themselves here when they begin to listen, are
// connected or accept, and leave when they are closed. Packets never come by: a
// connection's counters are added to by the socket's own reads and writes.
//
//	listen, connect, accept --> Registry --> Open, Take: what is and was --> tables
//	read, write --> counters        |
//	close -------> log, bounded ----+--> Program: who listens on a port --> firewall
//
// It owns the registry, and imports the standard library only. It guarantees that
// entering and leaving take a lock for a moment and never wait for who reads, and
// that a connection which came and went between two calls of Take is told by the
// second, up to MaxClosed of them; of more only their number is. It refuses
// nothing: what a port or an address means is the stack's business.
package flow
