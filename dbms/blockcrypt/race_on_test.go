//go:build race

package blockcrypt

// The race detector drops what is in a sync.Pool, and is slow.
const (
	raceEnabled = true
	crashSeeds  = 30
)
