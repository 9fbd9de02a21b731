package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"strconv"
	"strings"

	"github.com/tuplix/tuplix/dbms/blockcrypt"
	"github.com/tuplix/tuplix/dbms/blockdev"
)

func diskCommand() *command {
	return &command{
		name:  "disk",
		args:  "keys|passwd|add|remove|recovery [flags] FILE [NUMBER]",
		short: "look at and change the keys of an encrypted disk",
		long: `
Disk works on the keys of an encrypted disk image that no machine uses. Up to
eight keys open a disk: passphrases, key files, recovery keys. What the disk
holds is not touched, and copies of it from before keep their keys.

  keys FILE            list the keys; this needs none
  passwd FILE          put a new passphrase, or the -new-key-file, in the place
                       of the key that opens the disk
  add FILE             add a passphrase, or the -new-key-file
  remove FILE NUMBER   remove a key
  recovery FILE        make a new recovery key and forget the older ones

The key that opens the disk is asked for, or in the -key-file. A recovery key
will do wherever a passphrase is asked for.

Examples:
  tuplix disk passwd state.img
  head -c 32 /dev/urandom > key && chmod 600 key
  tuplix disk add -new-key-file key state.img`,
		run: runDisk,
	}
}

// diskFlags are the flags and arguments of the command.
type diskFlags struct {
	keys   keyFlags
	fresh  keyFlags // with the new key
	path   string
	number int
}

func runDisk(ctx context.Context, f *flag.FlagSet, args []string) (int, error) {
	var d diskFlags
	f.StringVar(&d.keys.keyFile, "key-file", "", "open the disk with the content of `file` in place of a passphrase")
	f.StringVar(&d.fresh.keyFile, "new-key-file", "", "the new key is the content of `file`, in place of a passphrase")
	action := ""
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		action, args = args[0], args[1:]
	}
	if err := parseFlags(f, args); err != nil {
		return 0, err
	}
	do := map[string]func(context.Context, *blockcrypt.Volume) error{
		"passwd": d.passwd, "add": d.add, "remove": d.remove, "recovery": d.recovery,
	}[action]
	if do == nil && action != "keys" {
		return 0, usagef("%q is nothing to do with a disk", action)
	}
	if err := d.arguments(f.Args(), action == "remove"); err != nil {
		return 0, err
	}
	if do == nil {
		return 0, withDisk(d.path, listKeys)
	}
	return 0, withDisk(d.path, func(dev *blockdev.File) error {
		v, key, err := d.keys.unlock(ctx, d.path, dev)
		if err != nil {
			return err
		}
		clear(key)
		defer v.Close()
		return do(ctx, v)
	})
}

func (d *diskFlags) arguments(args []string, numbered bool) (err error) {
	want := 1
	if numbered {
		want = 2
	}
	if len(args) != want {
		return usagef("%d arguments in place of %d", len(args), want)
	}
	d.path = args[0]
	if numbered {
		if d.number, err = strconv.Atoi(args[1]); err != nil {
			return usagef("%q is no number of a key; \"tuplix disk keys\" lists them", args[1])
		}
	}
	return nil
}

func listKeys(dev *blockdev.File) error {
	info, err := blockcrypt.Inspect(dev)
	if err != nil {
		return err
	}
	for _, s := range info.Slots {
		fmt.Printf("%d  %v\n", s.Number, s.Kind)
	}
	return nil
}

// choose returns the new key. The caller wipes it.
func (d *diskFlags) choose(ctx context.Context) (blockcrypt.Kind, []byte, error) {
	tty, err := d.fresh.terminal()
	if err == nil {
		defer tty.Close()
	}
	return d.fresh.chosen(ctx, tty, d.path)
}

func (d *diskFlags) passwd(ctx context.Context, v *blockcrypt.Volume) error {
	used := 0
	for _, s := range v.Info().Slots {
		if s.Used && s.Kind == blockcrypt.Recovery {
			return d.passwdByRecovery(ctx, v)
		}
		if s.Used {
			used = s.Number
		}
	}
	kind, key, err := d.choose(ctx)
	if err != nil {
		return err
	}
	defer clear(key)
	return v.ChangeKey(used, kind, key, blockcrypt.Cost{})
}

// passwdByRecovery replaces the passphrase that was forgotten, or adds one where
// there is none; the recovery key stays.
func (d *diskFlags) passwdByRecovery(ctx context.Context, v *blockcrypt.Volume) error {
	for _, s := range v.Info().Slots {
		if s.Kind == blockcrypt.Passphrase {
			kind, key, err := d.choose(ctx)
			if err != nil {
				return err
			}
			defer clear(key)
			return v.ChangeKey(s.Number, kind, key, blockcrypt.Cost{})
		}
	}
	return d.add(ctx, v)
}

func (d *diskFlags) add(ctx context.Context, v *blockcrypt.Volume) error {
	kind, key, err := d.choose(ctx)
	if err != nil {
		return err
	}
	defer clear(key)
	_, err = v.AddKey(kind, key, blockcrypt.Cost{})
	return err
}

func (d *diskFlags) remove(_ context.Context, v *blockcrypt.Volume) error {
	return v.RemoveKey(d.number)
}

func (d *diskFlags) recovery(_ context.Context, v *blockcrypt.Volume) error {
	tty, err := d.keys.terminal()
	if err != nil {
		return errors.New("a recovery key is shown on a terminal, and there is none")
	}
	defer tty.Close()
	old := v.Info().Slots
	recovery, err := v.AddRecovery()
	if err != nil {
		return err
	}
	showRecovery(tty, d.path, recovery)
	for _, s := range old {
		if s.Kind == blockcrypt.Recovery {
			err = errors.Join(err, v.RemoveKey(s.Number))
		}
	}
	return err
}
