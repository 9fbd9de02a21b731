package pc

import (
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/tuplix/tuplix/dbms/blockcrypt"
	"github.com/tuplix/tuplix/dbms/blockfs"
	"github.com/tuplix/tuplix/drivers/fwcfg"
	"github.com/tuplix/tuplix/drivers/metal"
	"github.com/tuplix/tuplix/kernel"
)

var (
	// errNoKey says that there is nobody to give the key.
	errNoKey = errors.New("the disk is encrypted, and there is neither a key from the host nor a console to ask at")
	// errNotEncrypted says that a key was given in vain. Going on would write in
	// the clear what somebody wants to be secret: the disk may have been swapped.
	errNotEncrypted = errors.New("a key for the disk was given, and the disk is not encrypted")
)

// maxTries is how often the console asks for the passphrase.
const maxTries = 3

// unlock returns what is to hold the volume: the disk, or the content of an
// encrypted one. The key is what the host hands over, or else what is typed.
func unlock(disk *loudDisk, console *prompt) (blockfs.Device, error) {
	encrypted, err := blockcrypt.IsEncrypted(disk)
	if err != nil {
		return nil, err
	}
	key, err := handedKey()
	if err != nil {
		return nil, err
	}
	defer clear(key)
	if !encrypted {
		if key != nil {
			return nil, errNotEncrypted
		}
		return disk, nil
	}
	// Deriving a key takes much memory, which is needed for other things now.
	defer debug.FreeOSMemory()
	if key != nil {
		return open(disk, key)
	}
	return askAndOpen(disk, console)
}

// handedKey is the key that the host hands over, nil if there is none.
func handedKey() ([]byte, error) {
	d, err := fwcfg.Open(metal.Machine{})
	if errors.Is(err, fwcfg.ErrAbsent) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	key, err := d.ReadFile(fwcfg.DiskKey, blockcrypt.MaxSecret)
	if errors.Is(err, fwcfg.ErrNoFile) {
		return nil, nil
	}
	return key, err
}

// open leaves a quarter of the memory that is free to others.
func open(disk *loudDisk, key []byte) (blockfs.Device, error) {
	d, err := blockcrypt.Open(disk, key, blockcrypt.Options{Memory: kernel.ReadStats().MemoryFree / 4 * 3})
	if err != nil {
		return nil, err // not d: a nil pointer in an interface is not nil
	}
	return d, nil
}

func askAndOpen(disk *loudDisk, console *prompt) (blockfs.Device, error) {
	if console == nil {
		return nil, errNoKey
	}
	for try := 1; ; try++ {
		key, err := console.secret("Passphrase or recovery key of the disk: ")
		if err != nil {
			return nil, fmt.Errorf("the disk is encrypted: %w", err)
		}
		d, err := open(disk, key)
		clear(key)
		if !errors.Is(err, blockcrypt.ErrKey) || try == maxTries {
			return d, err
		}
		say("disk: %v", err)
	}
}
