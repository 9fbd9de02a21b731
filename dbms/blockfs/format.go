package blockfs

import (
	"crypto/rand"
	"errors"
	"fmt"
)

// FormatOptions say how to make a volume.
type FormatOptions struct {
	// Force erases whatever the device holds. Without it only a blank device is
	// formatted.
	Force bool
	// ID names the volume; zero means a random one. Two volumes must not share
	// an id: leftovers of one on the device of the other would pass for its own.
	ID [16]byte
}

// Format makes an empty volume on dev. The order of writing makes sure that a
// crash on the way leaves the device blank (or, forced, foreign), or formatted:
// the areas lie outside of what is probed, and the superblocks come last.
func Format(dev Device, opts FormatOptions) error {
	if err := formatAllowed(dev, opts.Force); err != nil {
		return err
	}
	id := opts.ID
	for id == ([16]byte{}) {
		if _, err := rand.Read(id[:]); err != nil {
			return fmt.Errorf("blockfs: volume id: %w", err)
		}
	}
	if opts.Force {
		if err := wipe(dev); err != nil {
			return err
		}
	}
	sb := layout(dev, id)
	if err := sb.writeEmptyAreas(dev); err != nil {
		return err
	}
	for _, off := range []int64{superblockCopy, 0} {
		if err := writeDevice(dev, sb.encode(), off); err != nil {
			return err
		}
	}
	return dev.Flush()
}

// formatAllowed refuses to touch a device that is in use, unless forced.
func formatAllowed(dev Device, force bool) error {
	if err := checkDevice(dev); err != nil || force {
		return err
	}
	_, err := readSuperblock(dev)
	switch {
	case errors.Is(err, ErrBlank):
		return nil
	case err == nil, errors.Is(err, ErrCorrupt), errors.Is(err, ErrVersion), errors.Is(err, ErrDevice):
		return errors.Join(errors.New("blockfs: device holds a blockfs volume: left untouched; call Format with Force to erase it"), err)
	}
	return err
}

// wipe zeroes what is probed, so that nobody takes the device for what it was.
func wipe(dev Device) error {
	zero := make([]byte, directBytes)
	for _, start := range []int64{0, alignDown(dev.Size()-probeBytes, int64(dev.SectorSize()))} {
		for off := start; off < start+probeBytes; off += directBytes {
			if err := writeDevice(dev, zero, off); err != nil {
				return err
			}
		}
	}
	return dev.Flush()
}

// writeEmptyAreas makes area 0 current with an empty image, area 1 retired.
func (sb *superblock) writeEmptyAreas(dev Device) error {
	first := areaHeader{generation: 1, state: areaActive, imageSum: checksum(nil)}
	if err := sb.writeAreaHeader(dev, 0, first); err != nil {
		return err
	}
	if err := sb.writeAreaHeader(dev, 1, areaHeader{state: areaRetired, imageSum: checksum(nil)}); err != nil {
		return err
	}
	return dev.Flush()
}
