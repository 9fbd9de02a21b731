//go:build race

package blockfs

// raceShare of the seeds are run: the race detector makes them ten times slower.
const raceShare = 10
