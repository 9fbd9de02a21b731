package writelog

import (
	"encoding/binary"
	"sync"

	"github.com/tuplix/tuplix/dbms/blockdev"
)

// logSector is the sector size of logs made here.
const logSector = 512

// Log is a write log in memory, being made. Its zero value is empty.
type Log struct {
	entries uint64
	body    []byte
}

// Append adds an entry. Offset and Length are multiples of 512; Data is of Length
// bytes, or the text of a mark, or nil for a flush or discard.
func (l *Log) Append(e Entry) {
	var h [logSector]byte
	le := binary.LittleEndian
	le.PutUint64(h[0:], uint64(e.Offset)/logSector)
	le.PutUint64(h[8:], uint64(e.Length)/logSector)
	le.PutUint64(h[16:], e.Flags)
	if e.Flags&FlagMark != 0 {
		le.PutUint64(h[24:], uint64(len(e.Data)))
	}
	l.body = append(append(l.body, h[:]...), e.Data...)
	if k := len(l.body) % logSector; k > 0 {
		l.body = append(l.body, make([]byte, logSector-k)...)
	}
	l.entries++
}

// Bytes gives the log in its file format.
func (l *Log) Bytes() []byte {
	var s [logSector]byte
	le := binary.LittleEndian
	le.PutUint64(s[0:], magic)
	le.PutUint64(s[8:], version)
	le.PutUint64(s[16:], l.entries)
	le.PutUint32(s[24:], logSector)
	return append(s[:], l.body...)
}

// Recorder is a device in memory that logs what is done to it.
type Recorder struct {
	*blockdev.Memory

	mu  sync.Mutex
	log Log
}

// NewRecorder records what is done to m from now on.
func NewRecorder(m *blockdev.Memory) *Recorder { return &Recorder{Memory: m} }

// record does the operation and logs it, one at a time: the log has the order in
// which the device saw them.
func (r *Recorder) record(e Entry, do func() error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	err := do()
	if err == nil {
		r.log.Append(e)
	}
	return err
}

// WriteAt writes and logs.
func (r *Recorder) WriteAt(p []byte, off int64) (n int, err error) {
	err = r.record(Entry{Offset: off, Length: int64(len(p)), Data: p}, func() error {
		n, err = r.Memory.WriteAt(p, off)
		return err
	})
	return n, err
}

// Flush logs a flush.
func (r *Recorder) Flush() error {
	return r.record(Entry{Flags: FlagFlush}, r.Memory.Flush)
}

// Discard discards and logs.
func (r *Recorder) Discard(off, n int64) error {
	return r.record(Entry{Offset: off, Length: n, Flags: FlagDiscard}, func() error { return r.Memory.Discard(off, n) })
}

// Bytes gives the log so far in its file format.
func (r *Recorder) Bytes() []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.log.Bytes()
}
