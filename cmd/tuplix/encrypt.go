package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"

	"github.com/tuplix/tuplix/dbms/blockcrypt"
	"github.com/tuplix/tuplix/dbms/blockdev"
)

// maxTries is how often a passphrase is asked for.
const maxTries = 3

// keyFlags are the flags about the encryption of a disk.
type keyFlags struct {
	encrypt bool
	keyFile string

	open func() (*os.File, error) // opens the terminal; nil: openTerminal
}

func (k *keyFlags) terminal() (*os.File, error) {
	if k.open != nil {
		return k.open()
	}
	return openTerminal()
}

func (k *keyFlags) define(f *flag.FlagSet) {
	f.BoolVar(&k.encrypt, "encrypt", false, "make a new disk an encrypted one, and use no other")
	f.StringVar(&k.keyFile, "key-file", "", "open the encrypted disk with the content of `file` in place of a passphrase")
}

// diskSector is the sector size of images.
const diskSector = 512

// withDisk opens an image for the time of do. Programs that use it at the same
// time are not noticed in every case: QEMU locks in another way.
func withDisk(path string, do func(dev *blockdev.File) error) (err error) {
	dev, err := blockdev.OpenFile(path, 0, diskSector)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dev.Close()) }()
	return do(dev)
}

// key returns the key of the disk for the machine, nil if it is not encrypted. It
// encrypts a blank disk if that is asked for, and proves that the key opens it.
// memory is the machine's, in MiB.
func (k *keyFlags) key(ctx context.Context, path string, memory int) (key []byte, err error) {
	if path == "" {
		if k.encrypt || k.keyFile != "" {
			return nil, usagef("-encrypt and -key-file are about a disk: add -disk FILE")
		}
		return nil, nil
	}
	err = withDisk(path, func(dev *blockdev.File) error {
		encrypted, err := blockcrypt.IsEncrypted(dev)
		switch {
		case err != nil:
			return err
		case encrypted:
			var v *blockcrypt.Volume
			if v, key, err = k.unlock(ctx, path, dev); err == nil {
				v.Close()
			}
			return err
		case k.encrypt:
			key, err = k.format(ctx, path, dev, memory)
			return err
		case k.keyFile != "":
			return fmt.Errorf("%s is not encrypted: leave -key-file away, or make a new disk with -encrypt", path)
		}
		return nil
	})
	return key, err
}

// format makes a blank disk an encrypted one.
func (k *keyFlags) format(ctx context.Context, path string, dev *blockdev.File, memory int) ([]byte, error) {
	tty, err := k.terminal()
	if err == nil {
		defer tty.Close()
	} else if k.keyFile == "" {
		return nil, err
	}
	kind, key, err := k.chosen(ctx, tty, path)
	if err != nil {
		return nil, err
	}
	recovery, err := blockcrypt.Format(dev, kind, key, costFor(memory))
	if errors.Is(err, blockcrypt.ErrNotBlank) {
		err = fmt.Errorf("%w: a disk is encrypted when it is made; choose another name for -disk, and copy what is to be kept", err)
	}
	if err == nil && tty == nil {
		fmt.Fprintf(os.Stderr, "(no terminal: no recovery key of %s was made; \"tuplix disk recovery\" makes one)\n", path)
		err = removeRecovery(dev, key)
	}
	if err != nil {
		clear(key)
		return nil, err
	}
	if tty != nil {
		showRecovery(tty, path, recovery)
	}
	return key, nil
}

// chosen is the secret that a person picks.
func (k *keyFlags) chosen(ctx context.Context, tty *os.File, path string) (blockcrypt.Kind, []byte, error) {
	if k.keyFile != "" {
		key, err := readKeyFile(k.keyFile)
		return blockcrypt.KeyFile, key, err
	}
	if tty == nil {
		return 0, nil, errNoTerminal
	}
	key, err := choose(ctx, tty, path)
	return blockcrypt.Passphrase, key, err
}

// costFor keeps deriving a key within a quarter of a machine's memory, in MiB.
func costFor(memory int) blockcrypt.Cost {
	c := blockcrypt.DefaultCost
	c.MemoryKiB = min(c.MemoryKiB, max(uint32(memory)<<10/4, 8<<10))
	return c
}

// removeRecovery forgets the recovery keys that nobody has seen or shall use.
func removeRecovery(dev *blockdev.File, key []byte) error {
	v, err := blockcrypt.Unlock(dev, key, blockcrypt.Options{})
	if err != nil {
		return err
	}
	defer v.Close()
	for _, s := range v.Info().Slots {
		if s.Kind == blockcrypt.Recovery {
			if err := v.RemoveKey(s.Number); err != nil {
				return err
			}
		}
	}
	return nil
}

// unlock opens an encrypted disk with the key file, or with what is typed. The
// caller closes the volume and wipes the key.
func (k *keyFlags) unlock(ctx context.Context, path string, dev *blockdev.File) (*blockcrypt.Volume, []byte, error) {
	if k.keyFile != "" {
		key, err := readKeyFile(k.keyFile)
		if err != nil {
			return nil, nil, err
		}
		return tryKey(path, dev, key)
	}
	tty, err := k.terminal()
	if err != nil {
		return nil, nil, fmt.Errorf("%s is encrypted: %w", path, err)
	}
	defer tty.Close()
	for try := 1; ; try++ {
		key, err := ask(ctx, tty, fmt.Sprintf("Passphrase or recovery key of %s: ", path))
		if err != nil {
			return nil, nil, err
		}
		v, key, err := tryKey(path, dev, key)
		if !errors.Is(err, blockcrypt.ErrKey) || try == maxTries {
			return v, key, err
		}
		fmt.Fprintln(tty, err)
	}
}

// tryKey wipes a key that does not fit.
func tryKey(path string, dev *blockdev.File, key []byte) (*blockcrypt.Volume, []byte, error) {
	v, err := blockcrypt.Unlock(dev, key, blockcrypt.Options{})
	if err != nil {
		clear(key)
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	return v, key, nil
}
