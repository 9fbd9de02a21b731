//go:build !race

package file

const raceShare = 1
