// Package figure is how the parts of a system tell what they count, without knowing who
// asks: a source lists its figures as they are now, and package metric samples and
// serves them.
//
//	board, drivers ──Provide──► Provided ──┐
//	services ───────────────────Figures ───┴──► metric: os.samples, Prometheus
//
// It owns the form of a figure, and the list of sources that a board provides before
// any service is there. It imports nothing but the library, so that a program without
// metrics carries no more than this. It guarantees that reading a source changes
// nothing. It refuses nothing: what a name means, and that two sources do not use one
// in different ways, is their affair.
package figure
