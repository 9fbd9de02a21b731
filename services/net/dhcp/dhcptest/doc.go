// Package dhcptest is a DHCP server for tests: a function from a client's
// message to the server's. It owns nothing but its settings, opens no socket,
// and refuses to be used outside tests: it hands the same address to everyone.
package dhcptest
