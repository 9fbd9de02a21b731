// Package redact stands in images for github.com/cockroachdb/redact, as far as Pebble uses
// it. That package marks what is secret in texts that leave the machine; here none of them
// does, and so nothing is marked. Its patterns would be compiled at each boot.
//
// # Owns
//
// How Pebble's events and metrics become text.
//
// # May import
//
// The standard library only: its files are copied into the copy of Pebble that images are
// built with.
//
// # Guarantees
//
// The text is that of the package it stands for, without markers.
//
// # Refuses
//
// Markers.
package redact
