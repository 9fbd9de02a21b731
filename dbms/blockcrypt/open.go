package blockcrypt

import (
	"errors"
	"fmt"
	"runtime"
)

var (
	// ErrKey says that the secret does not open the device.
	ErrKey = errors.New("blockcrypt: this key does not open the device")
	// ErrCost says that checking the secret would take more memory than allowed.
	ErrCost = errors.New("blockcrypt: too little memory to check the key")
)

// Options say how to open a device.
type Options struct {
	// Memory bounds what deriving a key may take, in bytes; 0: what a header may
	// ask for at most, 1 GiB.
	Memory uint64
}

// Volume is an encrypted device that was unlocked, for changes of its keys. It is
// used by one goroutine at a time. Its data may be in use meanwhile.
type Volume struct {
	dev    BlockDevice
	copies *copies
	slot   int    // that the secret opened
	key    []byte // nil once closed
}

// IsEncrypted tells whether the device has the mark of this package, be the rest
// damaged. It writes nothing.
func IsEncrypted(dev BlockDevice) (bool, error) {
	if s := dev.SectorSize(); s < unitBytes || s > maxSector || dev.Size() < dataStart {
		return false, nil
	}
	var last error
	for _, off := range offsets {
		var b [headerBytes]byte
		if err := readFull(dev, b[:], off); err != nil {
			last = err
		} else if hasMagic(b[:]) {
			return true, nil
		}
	}
	return false, last
}

// Open returns the content of a device that secret opens: a passphrase, the
// content of a key file, or a recovery key as it was shown. The caller wipes it.
// Errors are ErrPlain, ErrKey, ErrCost, ErrCorrupt, ErrVersion, ErrDevice and
// those of the disk.
func Open(dev BlockDevice, secret []byte, o Options) (*Device, error) {
	v, err := Unlock(dev, secret, o)
	if err != nil {
		return nil, err
	}
	defer v.Close()
	return v.Device()
}

// Unlock is Open for who wants to change keys. With the right secret it repairs
// what a crash during an earlier change left.
func Unlock(dev BlockDevice, secret []byte, o Options) (*Volume, error) {
	c, err := readCopies(dev)
	if err != nil {
		return nil, err
	}
	v := &Volume{dev: dev, copies: c}
	if v.slot, v.key, err = c.header.open(secret, o); err != nil {
		return nil, err
	}
	if !c.agree {
		if err := c.store(dev, c.header); err != nil {
			v.Close()
			return nil, err
		}
	}
	return v, nil
}

// open finds the slot that the secret opens.
func (h *header) open(secret []byte, o Options) (int, []byte, error) {
	recovery, looks := parseRecovery(secret)
	defer clear(recovery)
	if recovery != nil {
		if i, key, err := h.try(recovery, o, true); err == nil {
			return i, key, nil
		}
	}
	if len(secret) == 0 || len(secret) > MaxSecret {
		return 0, nil, fmt.Errorf("%w: it has %d bytes; 1 to %d are used", ErrKey, len(secret), MaxSecret)
	}
	i, key, err := h.try(secret, o, false)
	if errors.Is(err, ErrKey) && looks && recovery == nil {
		err = fmt.Errorf("%w: it looks like a recovery key with a typing error", err)
	}
	return i, key, err
}

// try tries the slots of recovery keys, or the others.
func (h *header) try(secret []byte, o Options, recovery bool) (int, []byte, error) {
	failure, derived := ErrKey, false
	for i := range h.slots {
		s := &h.slots[i]
		if s.kind == free || (s.kind == Recovery) != recovery {
			continue
		}
		if need := uint64(s.cost.MemoryKiB) << 10; o.Memory > 0 && need > o.Memory {
			failure = fmt.Errorf("%w: it takes %d MiB, and %d may be used", ErrCost, need>>20, o.Memory>>20)
			continue
		}
		if derived {
			// What argon2 used is garbage, and twice that may be more than
			// a small machine has.
			runtime.GC()
		}
		derived = !recovery
		key, err := s.open(h, secret)
		if err == nil {
			return i, key, nil
		}
		if !errors.Is(err, ErrKey) {
			return 0, nil, err
		}
	}
	return 0, nil, failure
}

// Device returns the content of the device. It stays usable when v is closed.
func (v *Volume) Device() (*Device, error) { return newDevice(v.dev, v.key) }

// Close wipes the data key.
func (v *Volume) Close() {
	clear(v.key)
	v.key = nil
}
