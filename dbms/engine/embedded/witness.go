package embedded

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/lsm"
)

// The witness is a small file beside those of Pebble, written when the store is
// closed. It says how far the store had come. Pebble takes what does not decode
// near the end of a log, or of its manifest, for the end, since a crash may leave
// that; so damage there would lose transactions silently. Opening compares.
//
//	WITNESS   0        6       14      18
//	          ├────────┼───────┼───────┤
//	           "tuplix"  last   CRC-32C of what is before
//
// last is the newest version, big endian; the log is durable up to it by then.
const (
	witnessName  = "WITNESS"
	witnessMagic = "tuplix"
	witnessSize  = len(witnessMagic) + versionSize + 4
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func appendWitness(b []byte, last version) []byte {
	b = last.append(append(b, witnessMagic...))
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

func parseWitness(b []byte) (version, error) {
	if len(b) != witnessSize || string(b[:len(witnessMagic)]) != witnessMagic {
		return 0, errWitness
	}
	end := witnessSize - 4
	if binary.BigEndian.Uint32(b[end:]) != crc32.Checksum(b[:end], castagnoli) {
		return 0, errWitness
	}
	return readVersion(b[len(witnessMagic):]), nil
}

var errWitness = errors.New("malformed witness of the last close")

// witnessFile is where the witness of the store is.
type witnessFile struct {
	fs  vfs.FS
	dir string
}

func (w witnessFile) path() string { return w.fs.PathJoin(w.dir, witnessName) }

// read returns the version of the last close; none if there was none.
func (w witnessFile) read() (version, error) {
	f, err := w.fs.Open(w.path())
	if errors.Is(err, fs.ErrNotExist) {
		return noVersion, nil
	}
	if err != nil {
		return noVersion, err
	}
	b, err := io.ReadAll(io.LimitReader(f, int64(witnessSize)+1))
	if err := errors.Join(err, f.Close()); err != nil {
		return noVersion, err
	}
	v, err := parseWitness(b)
	if err != nil {
		err = corrupt(witnessName, err)
	}
	return v, err
}

// write replaces the witness, durably.
func (w witnessFile) write(last version) error {
	temporary := w.path() + ".new"
	f, err := w.fs.Create(temporary, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = f.Write(appendWitness(nil, last))
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := w.fs.Rename(temporary, w.path()); err != nil {
		return err
	}
	d, err := w.fs.OpenDir(w.dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// testify compares what was found with what the witness saw. A witness that is
// damaged itself says nothing; that is reported by Check.
func (e *Engine) testify(newest version) error {
	seen, err := e.witness.read()
	if errors.Is(err, engine.ErrCorrupt) {
		e.opts.Log("store: %v", err)
		return nil
	}
	if err != nil || newest >= seen {
		return err
	}
	return e.loss(fmt.Errorf("it ends at %s and was closed at %s, so the end of a log or of the manifest is damaged", newest, seen))
}

// checkTails looks for damage that Pebble takes for the torn end that a power cut leaves.
func (e *Engine) checkTails(fs vfs.FS, dir string) error {
	err := lsm.CheckTails(fs, dir)
	if errors.Is(err, lsm.ErrTail) {
		err = e.loss(err)
	}
	return err
}

// loss is what becomes of an opening that would lose what was durable.
func (e *Engine) loss(what error) error {
	err := fmt.Errorf("%w: %w; load a backup, or accept the loss (Options.AcceptLoss)", engine.ErrCorrupt, what)
	if e.opts.AcceptLoss {
		e.opts.Log("store: %v", err)
		return nil
	}
	return err
}

// leaveWitness ends a run that did not fail: the log has been synced, and the
// witness says how far the store has come.
func (e *Engine) leaveWitness() error {
	if err := e.failed(); err != nil {
		return err
	}
	return e.witness.write(e.last.Load())
}
