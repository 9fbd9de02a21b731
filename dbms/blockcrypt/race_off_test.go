//go:build !race

package blockcrypt

const (
	raceEnabled = false
	crashSeeds  = 250
)
