// Package net is the network service: gVisor's TCP/IP stack, the devices
// attached to it, and their configuration.
//
// It owns the stack, the interfaces and their addresses, the routing table,
// DHCP leases, IPv6 autoconfiguration, the list of name servers and the firewall's
// place in the path of packets. It imports gVisor's netstack and the link, dhcp,
// firewall and flow packages below it; it may use kernel and drivers, but needs
// neither: devices come in through link.Device. It knows no tables: what is wanted
// comes in by Apply and SetFirewall, what is comes out by Snapshot and Flows, and
// package control keeps both as tables.
//
// One goroutine changes the configuration; what netstack's neighbour discovery
// and the DHCP clients learn is queued to it, because their callbacks may not
// call the stack:
//
//	Apply -------------------------+
//	DHCP client --bound, lost------+
//	NDP (router, prefix, DNS) -----+--> events --> configurator --> stack
//	timers (RDNSS lifetime) -------+                    |
//	                                                    +--> Options.Resolver
//
// It guarantees that Ready is reached: when an interface has an address, when
// all of them failed, or when DHCP has been silent for DHCPPatience, whichever
// comes first; a lease that comes later is used all the same. It refuses
// configurations that it does not understand in full, naming the part.
//
// The sockets over the stack are the business of package linux.
package net
