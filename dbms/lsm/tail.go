package lsm

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// ErrTail is damage of a log or of the manifest that would pass for its end.
var ErrTail = errors.New("damaged where it was durable")

// CheckTails looks at the logs and the manifest of a Pebble that is about to be opened. A
// crash may leave a torn end there, and so Pebble takes what does not decode near the end
// for the end, and what comes behind it is lost without a word. But something may come
// behind that says that it was durable: then it is damage, and ErrTail.
//
//   - A chunk of the log tells up to where the log was durable before it was written. It
//     counts too little: of what is written at once, only what is in the last block.
//   - What marks the end of a log that was closed, a chunk with the number of the next
//     log, is the last that is written to it. Pebble looks no further, wherever it is.
//   - A record of the manifest is written when those before it are durable.
//
// What was written last has nothing behind it, and a length that is wrong by more than a
// bit hides what is. Other errors are those of the file system.
//
// The format is that of Pebble 2.1.7, package record:
//
//	block    32 KiB of chunks; what is left at its end is zero
//	chunk    0      4       6     7        11          19
//	         ├──────┼───────┼─────┼────────┼───────────┼───────────
//	          CRC    length  type  log      durable     payload
//	                               number   up to
//
// Numbers are little-endian. The CRC-32C, rotated by 15 to the right and with 0xa282ead8
// added, is of all that follows the length. Type is 1 for a whole record and 2, 3 and 4
// for the parts of one; then payload follows at 7. To these, 4 is added if there is a log
// number, and 8 if there is the position, too, as there is in each log.
func CheckTails(fs vfs.FS, dir string) error {
	d, err := pebble.Peek(dir, fs)
	if errors.Is(err, os.ErrNotExist) || err == nil && !d.Exists {
		return nil
	}
	if err != nil {
		return err
	}
	names, err := fs.List(dir)
	if err != nil {
		return err
	}
	logs, newest := map[uint64]string{}, uint64(0)
	for _, name := range names {
		digits, isLog := strings.CutSuffix(name, ".log")
		if n, err := strconv.ParseUint(digits, 10, 64); isLog && err == nil {
			logs[n], newest = fs.PathJoin(dir, name), max(newest, n)
		}
	}
	for n, name := range logs {
		l := logCheck{number: uint32(n), newest: n == newest}
		if err := l.run(fs, name); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	if err := checkManifest(fs, d.ManifestFilename); err != nil {
		return fmt.Errorf("%s: %w", d.ManifestFilename, err)
	}
	return nil
}

const (
	tailBlock = 32 << 10

	chunkFixed  = 7
	chunkNumber = chunkFixed + 4
	chunkSynced = chunkNumber + 8
	firstSynced = 9
)

// chunk is one as it is found.
type chunk struct {
	kind   byte // 0 to 3: whole, first, middle, last
	size   int  // with the header; 0 if there cannot be one
	right  bool // the CRC is, and the log's number
	synced int64
}

// chunkAt reads the chunk at a place of a block of a log or, where header is chunkFixed,
// of the manifest. The CRC does not say whether the length is right; where it is wrong by
// one bit, the chunk that there would be otherwise is found by its CRC.
func chunkAt(b []byte, header int, log uint32) chunk {
	if len(b) < header || [chunkFixed]byte(b) == [chunkFixed]byte{} {
		return chunk{}
	}
	length := binary.LittleEndian.Uint16(b[4:])
	c := chunkOf(b, header, length, log)
	for bit := 0; bit < 16 && !c.right; bit++ {
		if m := chunkOf(b, header, length^1<<bit, log); m.right {
			m.right = false
			return m
		}
	}
	return c
}

func chunkOf(b []byte, header int, length uint16, log uint32) (c chunk) {
	if c.size = header + int(length); c.size > len(b) {
		return chunk{}
	}
	crc := crc32.Checksum(b[6:c.size], castagnoli)
	crc = (crc>>15 | crc<<17) + 0xa282ead8
	first := byte(1)
	c.right = binary.LittleEndian.Uint32(b) == crc
	if header == chunkSynced {
		first = firstSynced
		c.right = c.right && binary.LittleEndian.Uint32(b[chunkFixed:]) == log
		c.synced = int64(binary.LittleEndian.Uint64(b[chunkNumber:]))
	}
	c.kind = b[6] - first
	c.right = c.right && c.kind <= 3
	return c
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// logCheck follows the chunks of a log.
type logCheck struct {
	number uint32
	newest bool

	bad   int64 // where the first chunk is that is not right; -1: nowhere
	ended bool  // and it is said to be the end
}

// run looks for the end of the log where it is not, and at the last block of the newest:
// in blocks before, and in other logs, Pebble itself notices other damage by what comes
// behind. The file may be longer than the log, and hold an older one there. A block of
// which the beginning is damaged looks as if it was not written, hence the one behind.
func (l *logCheck) run(fs vfs.FS, name string) error {
	return withFile(fs, name, func(f vfs.File, size int64) error {
		last, err := l.lastBlock(f, size)
		if err != nil {
			return err
		}
		l.bad = -1
		b := make([]byte, tailBlock)
		for at := int64(0); at < size; at += tailBlock {
			n, err := f.ReadAt(b, at)
			if err != nil && err != io.EOF {
				return err
			}
			tail := l.newest && (at == last || at == last+tailBlock)
			if !l.ended && !tail && !l.ends(b[:n]) {
				continue
			}
			if err := l.block(b[:n], at); err != nil {
				return err
			}
		}
		return nil
	})
}

// lastBlock is the place of the last block that begins with a chunk of this log, 0 if
// there is none.
func (l *logCheck) lastBlock(f vfs.File, size int64) (int64, error) {
	var b [chunkSynced]byte
	at := (size - 1) / tailBlock * tailBlock
	for ; at > 0; at -= tailBlock {
		if _, err := f.ReadAt(b[:], at); err != nil && err != io.EOF {
			return 0, err
		}
		if c := b[6]; c >= firstSynced && c <= firstSynced+3 && binary.LittleEndian.Uint32(b[chunkFixed:]) == l.number {
			break
		}
	}
	return at, nil
}

// ends reports whether a chunk of the block says that the log ends there.
func (l *logCheck) ends(b []byte) bool {
	for len(b) >= chunkSynced && !l.isEnd(b) {
		b = b[min(len(b), chunkSynced+int(binary.LittleEndian.Uint16(b[4:]))):]
	}
	return l.isEnd(b)
}

func (l *logCheck) isEnd(b []byte) bool {
	return len(b) >= chunkNumber && b[6] > 0 && binary.LittleEndian.Uint32(b[chunkFixed:]) == l.number+1
}

// block follows the chunks of a block that begins at a place in the log.
func (l *logCheck) block(b []byte, at int64) error {
	for i := 0; i < len(b); {
		c := chunkAt(b[i:], chunkSynced, l.number)
		if c.size == 0 {
			break
		}
		switch {
		case !c.right && l.bad < 0:
			l.bad, l.ended = at+int64(i), l.isEnd(b[i:])
		case c.right && l.bad >= 0 && (l.ended || c.synced > l.bad):
			return fmt.Errorf("byte %d: %w", l.bad, ErrTail)
		}
		i += c.size
	}
	return nil
}

// checkManifest follows the chunks of the manifest.
func checkManifest(fs vfs.FS, name string) error {
	return withFile(fs, name, func(f vfs.File, size int64) error {
		b := make([]byte, tailBlock)
		bad := int64(-1)
		for at := int64(0); at < size; at += tailBlock {
			n, err := f.ReadAt(b, at)
			if err != nil && err != io.EOF {
				return err
			}
			for i := 0; n-i >= chunkFixed; { // what is less is left at the block's end
				c := chunkAt(b[i:n], chunkFixed, 0)
				switch {
				case !c.right && bad < 0:
					bad = at + int64(i)
				case c.right && bad >= 0 && c.kind <= 1:
					return fmt.Errorf("byte %d: %w", bad, ErrTail)
				}
				if c.size == 0 {
					break
				}
				i += c.size
			}
		}
		return nil
	})
}

// withFile opens a file for fn, and tells its size.
func withFile(fs vfs.FS, name string, fn func(f vfs.File, size int64) error) error {
	f, err := fs.Open(name, vfs.RandomReadsOption)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err == nil {
		err = fn(f, info.Size())
	}
	return errors.Join(err, f.Close())
}
