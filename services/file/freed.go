package file

import (
	"encoding/binary"
	"errors"

	"github.com/tuplix/tuplix/dbms/engine"
)

// freedData is a row of os.data that nothing refers to any longer.
type freedData struct {
	id    uint64
	pages uint32
}

// freedList is the Data of a row of os.freed, little endian:
//
//	0   id of a row of os.data (8)
//	8   pages that it has (4)
//	12  the next, and so on
type freedList []freedData

const (
	freedSize = 12
	mostFreed = 50_000 // in one row
)

const _ = uint(engine.DefaultMaxValue - freedSize*mostFreed - 100)

func (l *freedList) add(id uint64, pages int) { *l = append(*l, freedData{id, uint32(pages)}) }

// bytes is about how much space they take.
func (l freedList) bytes() (n int64) {
	for _, d := range l {
		n += int64(d.pages) * BlockSize
	}
	return n
}

func (l freedList) encode() []byte {
	b := make([]byte, 0, len(l)*freedSize)
	for _, d := range l {
		b = binary.LittleEndian.AppendUint64(b, d.id)
		b = binary.LittleEndian.AppendUint32(b, d.pages)
	}
	return b
}

var errFreed = errors.New("a list of freed data makes no sense")

func decodeFreed(b []byte) (freedList, error) {
	if len(b)%freedSize != 0 {
		return nil, errFreed
	}
	l := make(freedList, 0, len(b)/freedSize)
	for ; len(b) > 0; b = b[freedSize:] {
		d := freedData{binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint32(b[8:])}
		if d.id == 0 || d.id == inlined || d.pages == 0 || d.pages > chunkPages {
			return nil, errFreed
		}
		l = append(l, d)
	}
	return l, nil
}
