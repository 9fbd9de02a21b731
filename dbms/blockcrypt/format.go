package blockcrypt

import (
	"crypto/rand"
	"errors"
	"fmt"
)

// ErrNotBlank says that the device holds something. It is left as it is.
var ErrNotBlank = errors.New("blockcrypt: the device is not blank")

// Format makes a blank device an encrypted one that secret opens, of kind
// Passphrase or KeyFile. It returns a recovery key, which opens the device as
// well: show it once, to be kept apart from the machine; it is nowhere else. The
// caller wipes secret. A crash on the way leaves the device unchanged, or
// damaged where it was blank, or formatted.
func Format(dev BlockDevice, kind Kind, secret []byte, cost Cost) (recovery string, err error) {
	if err := checkBlank(dev); err != nil {
		return "", err
	}
	key := make([]byte, dataKey)
	defer clear(key)
	rand.Read(key)
	h := &header{sequence: 1}
	rand.Read(h.id[:])
	if err := h.put(0, kind, secret, key, cost); err != nil {
		return "", err
	}
	if recovery, err = h.putRecovery(1, key); err != nil {
		return "", err
	}
	if err := new(copies).store(dev, h); err != nil {
		return "", err
	}
	return recovery, nil
}

// checkSecret bounds what is taken for a key.
func checkSecret(kind Kind, secret []byte) error {
	if kind != Passphrase && kind != KeyFile {
		return fmt.Errorf("blockcrypt: a %v cannot be chosen", kind)
	}
	if len(secret) == 0 {
		return fmt.Errorf("blockcrypt: the %v is empty", kind)
	}
	if len(secret) > MaxSecret {
		return fmt.Errorf("blockcrypt: the %v has %d bytes, at most %d are used", kind, len(secret), MaxSecret)
	}
	return nil
}

// checkBlank looks where partition tables, file systems and volume managers put
// their marks.
func checkBlank(dev BlockDevice) error {
	if err := checkDevice(dev); err != nil {
		return err
	}
	end := dev.Size() - dev.Size()%maxSector
	buf := make([]byte, transferBytes)
	for _, start := range []int64{0, end - probeBytes} {
		for off := start; off < start+probeBytes; off += transferBytes {
			if err := readFull(dev, buf, off); err != nil {
				return err
			}
			for i := 0; i < len(buf); i += unitBytes {
				if !allZero(buf[i : i+unitBytes]) {
					return fmt.Errorf("%w (something is at byte %d)", ErrNotBlank, off+int64(i))
				}
			}
		}
	}
	return nil
}
