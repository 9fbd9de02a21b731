// Package errors stands in images for github.com/cockroachdb/errors, as far as Pebble
// uses it. That package sends errors to other machines and to a service that collects
// reports; Pebble does neither, but the protocol buffers, patterns and HTTP clients for it
// would be linked into every image and initialised at each boot.
//
// # Owns
//
// Errors as Pebble makes them.
//
// # May import
//
// The standard library only: its files are copied into the copy of Pebble that images are
// built with.
//
// # Guarantees
//
// The text of an error, and what errors.Is, As and Unwrap of the standard library and of
// the package it stands for find in it, are those of that package.
//
// # Refuses
//
// Stack traces, hints and details: what is meant for reports is dropped.
package errors
