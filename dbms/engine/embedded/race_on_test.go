//go:build race

package embedded

// raced says that tests take ten times as long: Pebble checks itself as well then.
const raced = true
