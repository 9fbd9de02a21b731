package backup

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/tuplix/tuplix/dbms/engine"
)

// A backup is a sequence of frames after a magic line. Integers are little
// endian, "uvarint" is that of encoding/binary.
//
//	magic    "tuplix backup 1\n"      16 bytes; the digit is the format
//	frame*
//	  0  4   length n of the payload as stored, 1 to maxFrame
//	  4  4   CRC-32C of kind and payload
//	  8  1   kind: 'h' head, 'd' data, 'e' end
//	  9  n   payload; that of 'd' is compressed (zstd, RFC 8878)
//
// The first frame is the head, the last the end; what follows the end is an
// error, and so is a stream without it.
//
//	head     bytes from, bytes to, uvarint time (microseconds since 1970)
//	end      uvarint records, uvarint bytes (of keys and values)
//	data     record*
//	  'p'    bytes key, bytes value       the key has this value
//	  'd'    bytes key                    the key is gone
//	  'r'    bytes low, byte more, bytes high   all keys from low on are gone,
//	         to high (excluded) if more is 1, to the last if 0
//	bytes    uvarint length, bytes
//
// The versions in the head are those of the store that was copied; from is empty
// in a full backup.
const magic = "tuplix backup 1\n"

const (
	frameHead = 'h'
	frameData = 'd'
	frameEnd  = 'e'

	recordPut         = 'p'
	recordDelete      = 'd'
	recordDeleteRange = 'r'

	frameHeader = 9
	blockSize   = 256 << 10 // of data before compression, after which a frame is written
	maxVersion  = 64 << 10  // bytes of a version
	// A block ends with the record that makes it full.
	maxBlock = blockSize + engine.MaxKey*2 + engine.MaxValue + 64
	maxFrame = maxBlock + maxBlock/8 + 1024
)

// A head fits in a frame.
const _ uint = maxFrame - 2*maxVersion

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// ErrDamaged is wrapped by errors about a stream that is not a whole backup.
var ErrDamaged = errors.New("the backup is damaged")

func damaged(format string, a ...any) error {
	return fmt.Errorf("%w: %s", ErrDamaged, fmt.Sprintf(format, a...))
}

// Head tells what a backup holds.
type Head struct {
	From engine.Version // empty: a full backup
	To   engine.Version
	Time time.Time // when it was made, microseconds
}

func (h Head) encode() []byte {
	b := appendBytes(nil, []byte(h.From))
	b = appendBytes(b, []byte(h.To))
	return binary.AppendUvarint(b, uint64(h.Time.UnixMicro()))
}

func decodeHead(b []byte) (Head, error) {
	d := decoder{b}
	from, to, at := d.bytes(maxVersion), d.bytes(maxVersion), d.uvarint()
	if d.b == nil || len(d.b) != 0 || len(to) == 0 {
		return Head{}, damaged("its head does not decode")
	}
	return Head{From: engine.Version(from), To: engine.Version(to), Time: time.UnixMicro(int64(at))}, nil
}

// Summary counts what a backup holds.
type Summary struct {
	Head
	Records int64 // keys written and deletions
	Bytes   int64 // of their keys and values
}

// decoder takes values off the front of b, which becomes nil on an error.
type decoder struct{ b []byte }

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.b = nil
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) byte() byte {
	if len(d.b) == 0 {
		d.b = nil
		return 0
	}
	c := d.b[0]
	d.b = d.b[1:]
	return c
}

func (d *decoder) bytes(most int) []byte {
	n := d.uvarint()
	if d.b == nil || n > uint64(most) || n > uint64(len(d.b)) {
		d.b = nil
		return nil
	}
	v := d.b[:n:n]
	d.b = d.b[n:]
	return v
}

func appendBytes(b, v []byte) []byte {
	return append(binary.AppendUvarint(b, uint64(len(v))), v...)
}

// record is one change of the state.
type record struct {
	kind byte
	key  []byte // or the low end of a range
	// value of a put, or the high end of a range; nil: to the last key
	value []byte
}

func (r record) appendTo(b []byte) []byte {
	b = appendBytes(append(b, r.kind), r.key)
	switch {
	case r.kind == recordPut:
		b = appendBytes(b, r.value)
	case r.kind == recordDeleteRange && r.value == nil:
		b = appendBytes(append(b, 0), nil)
	case r.kind == recordDeleteRange:
		b = appendBytes(append(b, 1), r.value)
	}
	return b
}

// next takes a record off the front; d.b becomes nil if there is none.
func (d *decoder) next() record {
	r := record{kind: d.byte(), key: d.bytes(engine.MaxKey)}
	switch r.kind {
	case recordPut:
		r.value = d.bytes(engine.MaxValue)
	case recordDelete:
	case recordDeleteRange:
		more := d.byte()
		r.value = d.bytes(engine.MaxKey)
		if more == 0 {
			r.value = nil
		}
	default:
		d.b = nil
	}
	return r
}

// decodeBlock returns the records of a data frame.
func decodeBlock(b []byte) ([]record, error) {
	var out []record
	for d := (decoder{b}); len(d.b) > 0; {
		r := d.next()
		if d.b == nil || r.kind != recordDeleteRange && len(r.key) == 0 {
			return nil, damaged("a record does not decode")
		}
		out = append(out, r)
	}
	return out, nil
}

// frames writes a stream.
type frames struct {
	w   io.Writer
	zip *zstd.Encoder
	buf []byte
	err error
}

func newFrames(w io.Writer) (*frames, error) {
	zip, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest))
	if err != nil {
		return nil, err
	}
	f := &frames{w: w, zip: zip}
	_, f.err = io.WriteString(w, magic)
	return f, f.err
}

func (f *frames) write(kind byte, payload []byte) error {
	if f.err != nil {
		return f.err
	}
	f.buf = append(f.buf[:0], make([]byte, frameHeader)...)
	if kind == frameData {
		f.buf = f.zip.EncodeAll(payload, f.buf)
	} else {
		f.buf = append(f.buf, payload...)
	}
	binary.LittleEndian.PutUint32(f.buf, uint32(len(f.buf)-frameHeader))
	f.buf[8] = kind
	binary.LittleEndian.PutUint32(f.buf[4:], crc32.Checksum(f.buf[8:], castagnoli))
	_, f.err = f.w.Write(f.buf)
	return f.err
}

// frameReader reads a stream. Payloads are valid until the next.
type frameReader struct {
	r     io.Reader
	unzip *zstd.Decoder
	in    []byte
	out   []byte
}

func newFrameReader(r io.Reader) (*frameReader, error) {
	unzip, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxBlock))
	if err != nil {
		return nil, err
	}
	var m [len(magic)]byte
	if _, err := io.ReadFull(r, m[:]); err != nil {
		return nil, readError(err, "it is shorter than its first line")
	}
	switch {
	case string(m[:]) == magic:
		return &frameReader{r: r, unzip: unzip}, nil
	case bytes.HasPrefix(m[:], []byte(magic[:len("tuplix backup ")])):
		return nil, fmt.Errorf("the backup is of another format, %q; use the release of Tuplix that made it", m)
	}
	return nil, fmt.Errorf("%w: it does not begin with %q; is it a backup?", ErrDamaged, magic)
}

func (f *frameReader) next() (kind byte, payload []byte, err error) {
	var h [frameHeader]byte
	if _, err := io.ReadFull(f.r, h[:]); err != nil {
		return 0, nil, readError(err, "it is cut off")
	}
	n := binary.LittleEndian.Uint32(h[:])
	if n == 0 || n > maxFrame {
		return 0, nil, damaged("a frame of %d bytes", n)
	}
	f.in = append(append(f.in[:0], h[8]), make([]byte, n)...)
	if _, err := io.ReadFull(f.r, f.in[1:]); err != nil {
		return 0, nil, readError(err, "it is cut off")
	}
	if crc32.Checksum(f.in, castagnoli) != binary.LittleEndian.Uint32(h[4:]) {
		return 0, nil, damaged("a checksum does not match")
	}
	if kind = h[8]; kind != frameData {
		return kind, f.in[1:], nil
	}
	if f.out, err = f.unzip.DecodeAll(f.in[1:], f.out[:0]); err != nil {
		return 0, nil, damaged("a block does not decompress: %v", err)
	}
	return kind, f.out, nil
}

func readError(err error, cut string) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return damaged("%s", cut)
	}
	return err
}
