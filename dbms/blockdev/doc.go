// Package blockdev has the block devices of a hosted system and of a machine
// without a disk: Memory, and on Linux File.
//
// It owns the contract that their methods share (the same that
// dbms/blockfs.Device and a driver's device have): ReadAt and WriteAt take
// offsets and lengths in whole sectors, Flush makes completed writes durable,
// Discard is advice, and all may be called concurrently. Encryption of any such
// device is dbms/blockcrypt's.
//
// Its packages: crash, a device that loses power, for tests; writelog, which
// replays a recorded write log.
//
// It imports nothing of this module. It guarantees that a transfer that is out
// of range or not in whole sectors is refused with ErrRange and changes nothing.
package blockdev
