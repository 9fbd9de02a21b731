// Package prometheus stands in images for github.com/prometheus/client_golang/prometheus
// inside of Pebble, which keeps histograms of how long the device takes. They are read by
// programs that register them with Prometheus; such a program imports Pebble itself, and
// its image has the real package. In other images nobody can ask for them, and the
// protocol buffers that they would be sent in are neither linked nor initialised. (The
// system's own figures are services/metric's, with the real package.)
//
// # Owns
//
// Nothing.
//
// # May import
//
// The standard library only: its files are copied into the copy of Pebble that images are
// built with.
//
// # Guarantees
//
// The limits of buckets are those of the package it stands for.
//
// # Refuses
//
// To keep what is observed.
package prometheus
