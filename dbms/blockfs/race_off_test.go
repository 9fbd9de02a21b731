//go:build !race

package blockfs

const raceShare = 1
