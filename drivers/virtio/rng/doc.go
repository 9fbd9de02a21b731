// Package rng drives virtio entropy devices (virtio 1.2, 5.4).
//
// It owns the one queue of the device and the buffer that the host fills. It
// imports drivers/virtio.
//
// It guarantees that Read returns bytes that the host wrote and no others, and
// that a host which answers with nothing is an error and not a loop. It makes no
// promise of their quality: they are the host's word. Mix them into a generator,
// do not use them as they are.
//
// It refuses to ask for more than a few bytes at a time, as hosts limit the
// rate, and serves one reader after the other.
package rng
