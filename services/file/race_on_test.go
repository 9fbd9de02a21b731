//go:build race

package file

// raceShare is how much longer tests take: Pebble checks itself as well then.
const raceShare = 10
