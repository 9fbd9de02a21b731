package blockfs

import (
	"sync"

	"github.com/tuplix/tuplix/dbms/blockcrypt"
	"github.com/tuplix/tuplix/dbms/blockdev"
)

// A part of the seeds of the crash tests runs on an encrypted device, which has
// to keep all that a device promises.

// template is an encrypted device without content, and its recovery key, which
// opens it quickly.
var template = sync.OnceValues(func() (*blockdev.Memory, []byte) {
	dev := blockdev.NewMemory(8<<20, 512)
	cost := blockcrypt.Cost{Passes: 1, MemoryKiB: 8 << 10, Lanes: 1}
	recovery, err := blockcrypt.Format(dev, blockcrypt.Passphrase, []byte("secret"), cost)
	if err != nil {
		panic(err)
	}
	return dev, []byte(recovery)
})

// cover returns what the file system is to be on: dev, or what dev encrypts.
type cover func(dev Device) (Device, error)

func plainContent(dev Device) (Device, error) { return dev, nil }

func encryptedContent(dev Device) (Device, error) {
	_, recovery := template()
	return blockcrypt.Open(dev, recovery, blockcrypt.Options{})
}

// headerOf is how much of the device the encryption of a seed takes, if it is on.
func headerOf(seed uint64) int64 {
	if seed%4 == 3 {
		return 1 << 20
	}
	return 0
}

// coverOf picks one by the seed, and prepares the device for it.
func coverOf(seed uint64, dev Device) (cover, error) {
	n := headerOf(seed)
	if n == 0 {
		return plainContent, nil
	}
	encrypted, _ := template()
	header := make([]byte, n)
	if err := readDevice(encrypted, header, 0); err != nil {
		return nil, err
	}
	if err := writeDevice(dev, header, 0); err != nil {
		return nil, err
	}
	return encryptedContent, dev.Flush()
}
