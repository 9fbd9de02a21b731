package blockfs

import "fmt"

// volume is the metadata of a device, in memory.
type volume struct {
	sb   superblock
	pos  journalPosition
	tree *tree
	free []extent
}

// loadVolume reads all metadata and verifies it; it writes nothing.
func loadVolume(dev Device) (*volume, error) {
	sb, err := readSuperblock(dev)
	if err != nil {
		return nil, err
	}
	area, h, err := sb.currentArea(dev)
	if err != nil {
		return nil, err
	}
	image, err := sb.readImage(dev, area, h)
	if err != nil {
		return nil, err
	}
	v := &volume{sb: sb, tree: newTree()}
	if err := v.apply(image); err != nil {
		return nil, fmt.Errorf("image in area %d: %w", area, err)
	}
	v.pos = journalPosition{area: area, generation: h.generation, sequence: 1}
	if err := v.replayJournal(dev); err != nil {
		return nil, err
	}
	return v, v.findFree()
}

func (v *volume) replayJournal(dev Device) error {
	journal := make([]byte, v.sb.journalBytes)
	if err := readDevice(dev, journal, v.sb.journalOffset(v.pos.area)); err != nil {
		return err
	}
	var err error
	v.pos, err = v.sb.replay(journal, v.pos, v.apply)
	return err
}

// apply replays encoded records.
func (v *volume) apply(records []byte) error {
	d := decoder{b: records}
	for len(d.b) > 0 {
		r, err := d.record()
		if err != nil {
			return err
		}
		if r.op == opSetFile {
			err = v.tree.load(&r)
		} else if _, err = v.tree.apply(&r); err != nil {
			err = fmt.Errorf("%w: record type %d of %q: %w", ErrCorrupt, r.op, r.name, err)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// findFree works out the free blocks and so proves that no block has two owners.
func (v *volume) findFree() error {
	var used []extent
	for _, in := range v.tree.inodes {
		used = append(used, in.extents...)
	}
	var err error
	v.free, err = complement(used, v.sb.dataStart, v.sb.dataStart+v.sb.dataBlocks)
	return err
}
