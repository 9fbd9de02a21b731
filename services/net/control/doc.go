// Package control keeps the network as tables: what is wanted of it, which people
// write, and what is, which it writes itself.
//
//	           wanted                                        seen
//	os.interfaces os.addresses                  os.live_interfaces os.live_addresses
//	os.routes os.resolvers os.firewall          os.live_routes os.live_resolvers
//	settings net.hostname, time.servers         os.dhcp_leases os.neighbors
//	   |                                        os.listeners os.connections
//	   | Watch                                  os.firewall_hits os.network os.network_problems
//	   v                                           ^
//	reconciler: read all, compare                  | batches, at most two a second
//	   | Apply, SetFirewall                        |
//	   v                                        recorder
//	services/net: the stack --- Changed, Flows -----+
//
// # What is wanted
//
// A change is a transaction, and takes effect when it has committed: whoever made
// it, and also if it was a restore. The procedures (Interface, Address, Route,
// Resolvers, Rule, and In for several at once) refuse what the network could not do;
// they return when it has been done. What reaches the rows by another way and cannot
// be applied is left out, and os.network_problems says why until it is mended.
//
// The boot's command line goes before the tables: the interfaces that ip= names are
// as it says, hostname= is the name. Where neither says anything an interface uses
// DHCP, and there are no rules. A machine is closed but for its listeners then
// (package firewall); to close it but for what rules allow, end them with "deny in".
// Which interfaces are not to use DHCP is told by Options.Early, so that the next boot
// knows it before it can read the tables (Modes).
//
// # What is seen
//
// The recorder writes what differs from the tables, not more often than every half
// second, and never where a packet waits for it. A connection that came and went in
// between is written once, when it is over; more than MaxBatch in one batch are only
// counted (os.network, column skipped). Counters of connections that go on are
// written every ten seconds. The last KeepClosed closed ones stay. History of these
// tables is kept as shortly as the engine allows. After a restore they are made to say
// again what is.
//
// The package owns these tables and settings. It may import dbms, the packages below
// services/net, and packages config and user. It guarantees that the network is never
// left half configured by a restart: the first configuration that interfaces see is
// that of the tables. It refuses nothing that the command line says.
package control
