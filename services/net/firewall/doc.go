// Package firewall decides which packets and connections a machine takes and makes,
// by an ordered list of rules.
//
//	deny in tcp from 203.0.113.0/24 port 22      # the port is the machine's own
//	allow in tcp port 80 program web             # program: who listens there
//	deny in                                      # what no rule above has allowed
//	deny out tcp to 192.0.2.0/24 port 25         # the port is the peer's
//
// The first rule that fits decides. Where none fits, it is allowed: what comes in
// then reaches a program only where one listens, and is refused by the stack itself
// elsewhere. So a machine without rules is closed but for its listeners, and pays
// nothing; a last rule "deny in" makes it closed but for what rules allow.
//
// Rules are asked about what is new. What belongs to something that is under way
// passes, also after a rule was added that would have denied its beginning:
//
//	TCP    a segment that begins no connection (no SYN, or SYN with ACK): the stack
//	       knows its connections, and takes it for one of them or not at all
//	UDP    a datagram from where one was sent to from the same port within Reply
//	ICMP   everything but requests; neighbour discovery and errors always
//	DHCP   a server's answer
//
// What goes out is asked about where the program is known: when a socket connects,
// or sends to a peer that it is not connected to. Traffic within the machine is not
// asked about.
//
// It owns rules, their text, and what is remembered of datagrams. It imports the
// standard library only: packets come as bytes, so that all of it is tested and
// fuzzed on any host. It guarantees that a decision takes no lock but for UDP and
// rules that name a program, and allocates nothing; that what it remembers is
// bounded. It refuses, while there are rules, packets that it cannot tell the ports
// of: fragments that are cut within the transport's header.
package firewall
