// Package lsm fits Pebble, a log-structured merge tree, to the device that it
// writes to: what it has on the way must stay small beside the device, and space
// that is asked back must come without needing as much again (Compact).
//
// It also finds damage near the ends of its files that Pebble takes for what a crash
// leaves (CheckTails).
//
// It owns these sizes, and imports Pebble only. It guarantees that on a large
// device they are bounded, and on a small one a share of it, and refuses nothing:
// whether there is room at all is for who writes to ask.
package lsm
