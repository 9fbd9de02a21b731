// Package metric keeps figures of the system over time, as rows, and shows the
// present ones to Prometheus.
//
// Figures come from a registry of github.com/prometheus/client_golang: those of
// the Go runtime and of the store are in it, those of the kernel and of devices as the
// board provides them (package figure), those of the services as package system adds
// them, and programs add their own, in the way they know. They are served over HTTP where the
// setting metric.listen says, to everybody who can reach that address; without it,
// nowhere. A program may mount Service.Handler in a server of its own.
//
//	registry ──► sample, every metric.step ──► os.samples, finest tier
//	                 └─ when a step of a coarser tier is over ──► its least, greatest,
//	                    last and mean value ──► os.samples, that tier
//
// Tiers are rows of os.metric_tiers: how far apart the samples are, and how long
// they are kept. An administrator changes them there. A histogram is kept as
// Prometheus shows it: a series for each bucket, the sum, and the count.
//
// The package owns os.series, os.samples and os.metric_tiers. It may import dbms,
// and packages config, user and listen. It guarantees that a coarser tier is made of rows,
// not of what was in memory, so that a crash costs no more than the sample that
// was being taken. It refuses nothing: a figure that cannot be read is left out,
// and the log says why.
package metric
