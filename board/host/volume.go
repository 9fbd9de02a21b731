package host

import (
	"errors"

	"github.com/tuplix/tuplix/dbms/blockfs"
)

// Volume is the file system on a device.
type Volume struct {
	*blockfs.FS
	device *Device
}

// OpenVolume opens the device and the volume on it, and makes one where the device
// is blank. Errors are those of OpenDevice and blockfs.Open.
func OpenVolume(path string, o Options) (*Volume, error) {
	d, err := OpenDevice(path, o)
	if err != nil {
		return nil, err
	}
	fs, err := blockfs.Open(d, blockfs.Options{FormatBlank: true})
	if err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return &Volume{fs, d}, nil
}

// Close makes everything durable and closes the volume and the device.
func (v *Volume) Close() error { return errors.Join(v.FS.Close(), v.device.Close()) }
