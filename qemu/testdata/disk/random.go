package main

import (
	"errors"
	"fmt"

	"github.com/tuplix/tuplix/drivers/metal"
	"github.com/tuplix/tuplix/drivers/virtio"
	"github.com/tuplix/tuplix/drivers/virtio/rng"
)

// random reads twice from the entropy device. That the bytes are even is all
// that can be said of them: each value must come up about as often as others.
func random(args []int) error {
	for _, t := range metal.Discover().Virtio {
		if t.ID() != virtio.IDEntropy {
			continue
		}
		d, err := rng.Open(t, metal.Machine{})
		if err != nil {
			return err
		}
		first, second := make([]byte, args[0]), make([]byte, args[0])
		for _, p := range [][]byte{first, second} {
			if n, err := d.Read(p); err != nil || n != len(p) {
				return fmt.Errorf("%d bytes: %w", n, err)
			}
		}
		if string(first) == string(second) {
			return errors.New("the same bytes twice")
		}
		return even(first)
	}
	return errors.New("there is no entropy device")
}

// even fails where a value is missing or comes up more than three times as often
// as expected; with 4096 bytes, chance does either once in 30,000 tries.
func even(p []byte) error {
	var counts [256]int
	for _, b := range p {
		counts[b]++
	}
	for value, n := range counts {
		if n == 0 || n > 3*len(p)/len(counts) {
			return fmt.Errorf("of %d bytes %d are %#x", len(p), n, value)
		}
	}
	return nil
}
