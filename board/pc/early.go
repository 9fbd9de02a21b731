package pc

import (
	"errors"
	"io"
	"io/fs"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tuplix/tuplix/dbms/blockfs"
	"github.com/tuplix/tuplix/services/net/control"
)

// modesFile is the file of a volume, beside the store's, with what a boot has to know of the
// network before the store is open.
const modesFile = "network"

// maxModes bounds that file, in bytes.
const maxModes = 64 << 10

// early is what the volume tells of the network before the store is open.
type early struct {
	volume *blockfs.FS // nil: there is no disk, and there was no boot before this one
}

// modes are those that were kept. What cannot be read is none: the tables decide.
func (e early) modes() control.Modes {
	text, err := e.read()
	var m control.Modes
	if err == nil {
		m, err = control.ParseModes(text)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		say("network: what the last boot knew of it: %v", err)
	}
	return m
}

func (e early) read() (string, error) {
	if e.volume == nil {
		return "", nil
	}
	f, err := e.volume.Open(modesFile)
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(io.LimitReader(f, maxModes))
	return string(text), errors.Join(err, f.Close())
}

// keep writes the modes for the next boot, if they are others than were kept.
func (e early) keep(m control.Modes) {
	kept, err := e.read()
	if e.volume == nil || m.String() == kept || kept == "" && m == nil {
		return
	}
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		err = e.write(m.String())
	}
	if err != nil {
		say("network: the next boot may ask for a lease in vain: %v", err)
	}
}

// write makes the file anew. Half of it does no harm but that a boot asks in vain.
func (e early) write(text string) error {
	f, err := e.volume.Create(modesFile, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = io.WriteString(f, text)
	return errors.Join(err, f.Sync(), f.Close())
}
