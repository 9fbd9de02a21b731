package blockfs

import (
	"bytes"
	"fmt"
)

// Report is what Check found on a sound volume.
type Report struct {
	ID          [16]byte
	Generation  uint64 // checkpoints since Format
	Commits     uint64 // in the journal since the last checkpoint
	Files       int    // inodes that are not directories
	Directories int    // the root included
	Names       int    // directory entries
	UsedBlocks  uint64 // of 4 KiB, owned by files
	FreeBlocks  uint64
	// Warnings tell of lost redundancy: a copy that is bad or behind while the
	// other one is good. A crash during a checkpoint may leave such a copy.
	Warnings []string
}

// Check proves that the volume on dev is consistent, or returns why it is not.
// It writes nothing. What it proves:
//
//   - a superblock, the headers of an area, its image and all commits of its
//     journal have good checksums, and no commit is missing;
//   - all records make sense, one after the other;
//   - every inode is reached from the root, by as many names as it counts;
//   - every extent lies among the data blocks and has one owner, and owned and
//     free blocks add up to all of them;
//   - the state can be written as an image that fits its area and leads to the
//     same state again.
func Check(dev Device) (Report, error) {
	v, err := loadVolume(dev)
	if err != nil {
		return Report{}, err
	}
	r := Report{ID: v.sb.id, Generation: v.pos.generation, Commits: v.pos.sequence - 1}
	r.Warnings = v.sb.checkCopies(dev)
	if err := v.tree.check(&r); err != nil {
		return Report{}, err
	}
	for _, e := range v.free {
		r.FreeBlocks += e.count
	}
	if r.UsedBlocks+r.FreeBlocks != v.sb.dataBlocks {
		return Report{}, fmt.Errorf("%w: %d used and %d free of %d blocks", ErrCorrupt, r.UsedBlocks, r.FreeBlocks, v.sb.dataBlocks)
	}
	return r, v.checkImage()
}

// checkCopies compares what is kept twice.
func (sb *superblock) checkCopies(dev Device) (warnings []string) {
	for i, off := range []int64{0, superblockCopy} {
		b := make([]byte, dev.SectorSize())
		err := readDevice(dev, b, off)
		if err == nil {
			_, err = decodeSuperblock(b)
		}
		if err != nil {
			warnings = append(warnings, fmt.Sprintf("superblock %d: %v", i, err))
		}
	}
	for i := range 2 {
		if _, agree, err := sb.readAreaHeader(dev, i); err != nil || !agree {
			warnings = append(warnings, fmt.Sprintf("headers of area %d: agree %t, %v", i, agree, err))
		}
	}
	return warnings
}

// check walks the tree from the root and counts into r.
func (t *tree) check(r *Report) error {
	names := map[*inode]int{t.root: 1}
	for dirs := []*inode{t.root}; len(dirs) > 0; dirs = dirs[1:] {
		for name, in := range dirs[0].children {
			names[in]++
			r.Names++
			if err := checkName(name); err != nil {
				return fmt.Errorf("%w: name %q", ErrCorrupt, name)
			}
			if in.isDir() && (names[in] > 1 || in.parent != dirs[0]) {
				return fmt.Errorf("%w: directory %d has two names", ErrCorrupt, in.id)
			}
			if in.isDir() {
				dirs = append(dirs, in)
			}
		}
	}
	for id, in := range t.inodes {
		if err := in.check(id, names[in], r); err != nil {
			return err
		}
	}
	if len(names) != len(t.inodes) {
		return fmt.Errorf("%w: %d inodes, %d of them have names", ErrCorrupt, len(t.inodes), len(names))
	}
	return nil
}

func (in *inode) check(id uint64, names int, r *Report) error {
	if in.id != id || names != in.links || names == 0 {
		return fmt.Errorf("%w: inode %d has %d names and counts %d", ErrCorrupt, in.id, names, in.links)
	}
	if in.isDir() {
		r.Directories++
		if len(in.extents) > 0 {
			return fmt.Errorf("%w: directory %d has extents", ErrCorrupt, in.id)
		}
		return nil
	}
	r.Files++
	r.UsedBlocks += in.blocks
	if in.size > int64(in.blocks)*blockSize {
		return fmt.Errorf("%w: inode %d is longer than its extents", ErrCorrupt, in.id)
	}
	return nil
}

// checkImage proves that the state survives being written and read.
func (v *volume) checkImage() error {
	image := v.tree.image()
	if n := int64(len(image)); n > v.tree.imageBytes || n > v.sb.imageCapacity() {
		return fmt.Errorf("%w: image of %d bytes, reckoned %d, room for %d", ErrCorrupt, n, v.tree.imageBytes, v.sb.imageCapacity())
	}
	again := volume{sb: v.sb, tree: newTree()}
	if err := again.apply(image); err != nil {
		return err
	}
	if !bytes.Equal(again.tree.image(), image) || again.tree.imageBytes != v.tree.imageBytes {
		return fmt.Errorf("%w: the state does not survive its image", ErrCorrupt)
	}
	return nil
}

// audit proves the same of a volume in use: that each data block is owned by one
// file, free, or on its way to being free. No other call may be in progress, and no
// removed file may be open.
func (fs *FS) audit() error {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	used := append([]extent(nil), fs.discards...)
	for _, f := range fs.frees {
		used = append(used, f.extents...)
	}
	for _, in := range fs.tree.inodes {
		used = append(used, in.extents...)
	}
	end := fs.sb.dataStart + fs.sb.dataBlocks
	free, err := complement(used, fs.sb.dataStart, end)
	if err != nil {
		return err
	}
	merged, total := fs.alloc.free, uint64(0)
	for i, e := range free {
		if i >= len(merged) || merged[i] != e {
			return fmt.Errorf("blockfs: free map differs at extent %d: %v", i, e)
		}
		total += e.count
	}
	if len(merged) != len(free) || total != fs.alloc.left {
		return fmt.Errorf("blockfs: free map has %d extents of %d blocks, want %d of %d", len(merged), fs.alloc.left, len(free), total)
	}
	return fs.tree.check(&Report{})
}
