// Package rng drives virtio entropy devices (virtio 1.2, 5.4).
//
// It owns nothing but the queue. It imports drivers/virtio. What it reads is
// the host's word: mix it into a generator, do not use it as it is.
package rng
