package blockfs

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"testing"

	"github.com/tuplix/tuplix/dbms/blockdev"
)

// sample makes a volume with an image, a journal and some files.
func sample(t testing.TB) *blockdev.Memory {
	t.Helper()
	dev := blockdev.NewMemory(minDeviceBytes, 512)
	must(t, Format(dev, FormatOptions{ID: [16]byte{7}}))
	for range 2 { // the second time some of it is in the image
		fs, err := Open(dev, Options{inline: true})
		must(t, err)
		must(t, fs.RemoveAll("d"))
		must(t, fs.MkdirAll("d/e", 0o755))
		writeFile(t, fs, "d/f", pattern(1, 9000))
		must(t, fs.Link("d/f", "d/e/g"))
		must(t, fs.Rename("d/f", "h"))
		writeFile(t, fs, "k", pattern(2, 100))
		must(t, fs.Remove("k"))
		must(t, fs.Close())
	}
	return dev
}

// useVolume opens whatever dev holds and uses it: it may refuse, but must not
// panic, loop, or serve what is not there.
func useVolume(t *testing.T, dev Device) {
	if _, err := Check(dev); err != nil {
		return
	}
	fs, err := Open(dev, Options{inline: true})
	if err != nil {
		t.Fatalf("checked, but does not open: %v", err)
	}
	if err := readHeads(fs); err != nil {
		t.Fatal(err)
	}
	f, err := fs.Create("fuzz", unspecified)
	if err == nil {
		_, err = f.Write(pattern(1, 5000))
		err = errors.Join(err, f.Sync(), f.Close())
	}
	if err != nil && !isFull(err) {
		t.Logf("create: %v", err)
	}
	if err := fs.Close(); err != nil && !isFull(err) {
		t.Fatal(err)
	}
	if _, err := Check(dev); err != nil {
		t.Fatalf("use damaged it: %v", err)
	}
}

// readHeads reads the head of every file.
func readHeads(fs *FS) error {
	for _, in := range fs.tree.inodes {
		if in.isDir() {
			continue
		}
		p := make([]byte, min(in.size, 64<<10))
		if _, err := fs.readAt(in, p, 0); err != nil && err != io.EOF {
			return err
		}
	}
	return nil
}

// FuzzDamage overwrites bytes of a sound volume's metadata. Checksums must catch
// it: what opens has the names and content that it had.
func FuzzDamage(f *testing.F) {
	f.Add(uint32(0), []byte{1, 2, 3})
	f.Add(uint32(frontBytes), []byte("garbage"))
	f.Add(uint32(frontBytes+blockSize+8), bytes.Repeat([]byte{0xff}, 600))
	f.Add(uint32(frontBytes+minAreaBytes+blockSize), make([]byte, 512))
	f.Fuzz(func(t *testing.T, off uint32, damage []byte) {
		dev := sample(t)
		sb, err := readSuperblock(dev)
		must(t, err)
		at := int64(off) % (int64(sb.dataStart) * blockSize)
		damage = damage[:min(int64(len(damage)), 4096)]
		span := make([]byte, alignUp(at%512+int64(len(damage)), 512))
		must(t, readDevice(dev, span, alignDown(at, 512)))
		copy(span[at%512:], damage)
		must(t, writeDevice(dev, span, alignDown(at, 512)))
		if fs, err := Open(dev.Clone(), Options{}); err == nil {
			if _, err := fs.Stat("h"); err == nil && !bytes.Equal(readFile(t, fs, "h"), pattern(1, 9000)) {
				t.Fatal("wrong data")
			}
		}
		useVolume(t, dev)
	})
}

// FuzzRecords gives records with good checksums and any content, as an image and
// as a journal commit.
func FuzzRecords(f *testing.F) {
	create := record{op: opCreate, kind: kindFile, inode: 2, dir: rootID, name: "f"}
	set := record{op: opSetFile, inode: 2, size: 100, valid: 4096, extents: []extent{{400, 1}}}
	move := record{op: opRename, dir: rootID, toDir: rootID, name: "f", toName: "g"}
	f.Add(create.append(nil), set.append(nil))
	f.Add(set.append(create.append(nil)), move.append(nil))
	f.Fuzz(func(t *testing.T, image, journal []byte) {
		dev := blockdev.NewMemory(minDeviceBytes, 512)
		must(t, Format(dev, FormatOptions{ID: [16]byte{7}}))
		sb, err := readSuperblock(dev)
		must(t, err)
		image = image[:min(int64(len(image)), sb.imageCapacity())]
		h := areaHeader{generation: 1, state: areaActive, imageBytes: int64(len(image)), imageSum: checksum(image)}
		must(t, sb.writeAreaHeader(dev, 0, h))
		padded := append(append([]byte{}, image...), make([]byte, alignUp(int64(len(image)), 512)-int64(len(image)))...)
		must(t, writeDevice(dev, padded, sb.imageOffset(0)))
		if commit := sb.encodeCommit(journalPosition{generation: 1, sequence: 1}, journal); int64(len(commit)) <= sb.journalBytes {
			must(t, writeDevice(dev, commit, sb.journalOffset(0)))
		}
		useVolume(t, dev)
	})
}

// FuzzSuperblock gives any superblock, with its checksum put right.
func FuzzSuperblock(f *testing.F) {
	sb := layout(blockdev.NewMemory(minDeviceBytes, 512), [16]byte{7})
	f.Add(sb.encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < superblockBytes {
			return
		}
		copy(b, superblockMagic)
		binary.LittleEndian.PutUint32(b[124:], crc32.Checksum(b[:124], castagnoli))
		dev := sample(t)
		b = append(b, make([]byte, 512)...)[:512]
		must(t, writeDevice(dev, b, 0))
		must(t, writeDevice(dev, b, superblockCopy))
		useVolume(t, dev)
	})
}

// TestJournalGap: a commit missing in the middle is damage, not the end.
func TestJournalGap(t *testing.T) {
	dev := sample(t)
	v, err := loadVolume(dev)
	must(t, err)
	if v.pos.sequence < 3 {
		t.Fatalf("only %d commits", v.pos.sequence-1)
	}
	must(t, writeDevice(dev, make([]byte, 512), v.sb.journalOffset(v.pos.area)))
	if _, err := Check(dev); !errors.Is(err, ErrCorrupt) {
		t.Fatalf("a hole in the journal: %v", err)
	}
}

// TestHeaderLossIsNoTimeTravel: losing both headers of the current area must not
// bring the state before it back.
func TestHeaderLossIsNoTimeTravel(t *testing.T) {
	dev := sample(t)
	v, err := loadVolume(dev)
	must(t, err)
	for _, off := range v.sb.headerOffsets(v.pos.area) {
		must(t, writeDevice(dev, make([]byte, 512), off))
	}
	if _, err := Open(dev, Options{}); !errors.Is(err, ErrCorrupt) {
		t.Fatalf("open: %v", err)
	}
}
