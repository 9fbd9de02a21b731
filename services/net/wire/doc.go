// Package wire is a pair of network devices in memory, joined by a cable: for
// tests of everything above a driver, on a host and under the race detector.
//
// It owns the frames on the cable. It does in software what a virtio-net
// device does for real, and is stricter: a sender's offload header must be
// right to the byte, a partial checksum is completed, a large TCP segment is
// cut or handed on whole depending on what the receiver negotiated, and every
// TCP and UDP checksum is verified before a frame reaches the peer. It imports
// package link for the shapes and gVisor's header parsers. It can lose frames
// at a seeded rate.
//
// It guarantees order and, without loss, delivery while the receiver keeps up
// with a queue of 512 frames; a sender blocks when it is full. A frame that
// breaks the rules is refused, and the breach is kept for the test to see.
package wire
