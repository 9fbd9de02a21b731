package host

import (
	"errors"
	"fmt"
	"os"

	"github.com/tuplix/tuplix/dbms/blockcrypt"
	"github.com/tuplix/tuplix/dbms/blockdev"
	"github.com/tuplix/tuplix/dbms/blockfs"
)

// sector is the unit of writing. That of QEMU's disks, so that images can be
// exchanged with them.
const sector = 512

// Memory as a path stands for a device in memory.
const Memory = ""

// Options say what to open.
type Options struct {
	// Size of a file that is to be made where there is none, or of the device in
	// memory, in bytes. 0: the file must exist.
	Size int64
	// Key opens an encrypted device: a passphrase, the content of a key file, or
	// a recovery key. nil: the device is not encrypted. The caller wipes it.
	Key []byte
	// Encrypt makes a blank device an encrypted one, which Key opens from then
	// on.
	Encrypt *Encryption
}

// Encryption says how to make an encrypted device.
type Encryption struct {
	Kind blockcrypt.Kind // of Options.Key: Passphrase or KeyFile
	Cost blockcrypt.Cost // of deriving keys; zero: the default
	// Recovery gets the recovery key, once: it is nowhere else.
	Recovery func(key string)
}

var (
	// ErrKeyNeeded says that the device is encrypted and Options has no key.
	ErrKeyNeeded = errors.New("host: the device is encrypted: give its key")
	// ErrNotEncrypted says that Options has a key and the device needs none.
	ErrNotEncrypted = errors.New("host: a key was given, and the device is not encrypted: use the device that the key is for")
)

// Device is a block device for blockfs, or for whatever keeps to its contract.
type Device struct {
	blockfs.Device
	close func() error
}

// Close gives up the device, the lock, and the keys. It does not flush.
func (d *Device) Close() error { return d.close() }

// OpenDevice opens the device at path, a file or a block device of the host, or
// one in memory (Memory). Errors besides those here are blockcrypt's (ErrKey for
// a wrong key) and the host's; nothing is changed on the device with any of them,
// except that Format of blockcrypt may have failed midway.
func OpenDevice(path string, o Options) (*Device, error) {
	if o.Encrypt != nil && o.Key == nil {
		return nil, errors.New("host: to encrypt a device a key is needed")
	}
	if path == Memory {
		return o.finish(blockdev.NewMemory(o.Size, sector), func() error { return nil })
	}
	file, err := blockdev.OpenFile(path, o.Size, sector)
	if err != nil {
		return nil, err
	}
	d, err := o.finish(file, file.Close)
	if err != nil {
		if file.Made() {
			err = errors.Join(err, os.Remove(path))
		}
		err = errors.Join(err, file.Close()) // which ends the lock
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return d, nil
}

// finish puts the encryption on the device, if any.
func (o *Options) finish(below blockfs.Device, closeBelow func() error) (*Device, error) {
	encrypted, err := blockcrypt.IsEncrypted(below)
	switch {
	case err != nil:
		return nil, err
	case encrypted && o.Key == nil:
		return nil, ErrKeyNeeded
	case encrypted:
	case o.Encrypt != nil:
		if err := o.format(below); err != nil {
			return nil, err
		}
	case o.Key != nil:
		return nil, ErrNotEncrypted
	default:
		return &Device{below, closeBelow}, nil
	}
	content, err := blockcrypt.Open(below, o.Key, blockcrypt.Options{})
	if err != nil {
		return nil, err
	}
	return &Device{content, func() error {
		content.Close()
		return closeBelow()
	}}, nil
}

func (o *Options) format(below blockfs.Device) error {
	recovery, err := blockcrypt.Format(below, o.Encrypt.Kind, o.Key, o.Encrypt.Cost)
	if err == nil && o.Encrypt.Recovery != nil {
		o.Encrypt.Recovery(recovery)
	}
	return err
}
