// Package crash has a block device that loses power, for the tests of whatever
// claims to survive that.
//
// It owns the simulation: which states a disk may be in after a power cut, given
// what was written and flushed. It imports only dbms/blockdev. It guarantees that
// what was flushed is there, that a sector is old or new and never mixed, and
// that one seed always gives one outcome; it promises nothing else about what was
// not flushed, and uses that freedom. It also injects errors and counts
// operations. It refuses what a device refuses (blockdev.ErrRange), and after the
// power cut everything (ErrPowerCut).
package crash
