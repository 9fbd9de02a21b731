package file

import "syscall"

// SeekData finds the next stored byte at or after off; ENXIO if none is left.
func (n *Inode) SeekData(off int64) (int64, error) {
	n.rlock()
	defer n.mu.RUnlock()
	if off < 0 || off >= n.record.Size {
		return 0, syscall.ENXIO
	}
	first, _ := split(off)
	numbers, err := n.chunksIn(first, blocksOf(n.record.Size))
	if err != nil {
		return 0, err
	}
	for _, number := range numbers {
		mask, err := n.mask(number)
		if err != nil {
			return 0, err
		}
		for i := range uint64(chunkPages) {
			block := number*chunkPages + i
			if mask>>i&1 != 0 && block >= first {
				return max(off, int64(block)*BlockSize), nil
			}
		}
	}
	return 0, syscall.ENXIO
}

// SeekHole finds the next byte at or after off that is not stored; the end
// of the file is one. ENXIO from the end on.
func (n *Inode) SeekHole(off int64) (int64, error) {
	n.rlock()
	defer n.mu.RUnlock()
	if off < 0 || off >= n.record.Size {
		return 0, syscall.ENXIO
	}
	end := blocksOf(n.record.Size)
	if uint64(n.record.Blocks) == end {
		return n.record.Size, nil
	}
	block, _ := split(off)
	for block < end {
		mask, err := n.mask(block / chunkPages)
		if err != nil {
			return 0, err
		}
		for i := block % chunkPages; i < chunkPages; i++ {
			if mask>>i&1 == 0 {
				return min(max(off, int64(block)*BlockSize), n.record.Size), nil
			}
			block++
		}
	}
	return n.record.Size, nil
}
