// Package listen serves at an address that a setting holds, from the moment it
// names one until it names another.
//
// It owns the listening sockets of services that can be switched on while the
// system runs. It may import package config and the standard library. It guarantees
// that a change of the setting closes the socket of before, and that End does. It
// refuses nothing: an address at which nothing can listen is told to the service,
// which goes on without, until the setting changes.
package listen
