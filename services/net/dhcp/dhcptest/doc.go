// Package dhcptest is a DHCP server for tests: a function from a client's message
// to the server's.
//
// It owns nothing but its settings and may import the message codec. It
// guarantees an answer that a client accepts, unless its settings ask for
// another. It refuses to be used outside tests: it opens no socket and hands the
// same address to everyone.
package dhcptest
