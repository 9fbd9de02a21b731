// Package blockcrypt keeps a block device secret from whoever has the disk: a
// Device encrypts what it hands on to another device. It needs nothing from the
// file system above it (dbms/blockfs) and nothing from the disk below.
//
// It owns the header on the disk, the keys in it, the choice of ciphers, and XTS
// by the AES instructions of amd64 (xts_amd64.s); other processors use that of
// x/crypto. It imports golang.org/x/crypto (xts, argon2), golang.org/x/sys/cpu, and
// of this module only dbms/blockdev, for the contract of devices.
//
// # How it works
//
//	0          header          ┐ header.go
//	512 KiB    the same again  ┘
//	1 MiB      data: units of 512 bytes, each by AES-256 in XTS mode
//	end
//
// The data key is random and never changes. Each of eight slots of the header may
// hold it, wrapped by AES-256-GCM under a key that is derived from a secret: a
// passphrase or a key file by argon2id, a recovery key (256 random bits) by HKDF.
// Any one of the secrets opens the device, and each can be changed or removed
// without touching the data. Wherever a secret is asked for, any kind will do:
// what is typed may be a passphrase or a recovery key.
//
//	recovery, err := blockcrypt.Format(disk, blockcrypt.Passphrase, secret, blockcrypt.Cost{})
//	...
//	device, err := blockcrypt.Open(disk, secret, blockcrypt.Options{})
//	volume, err := blockfs.Open(device, blockfs.Options{FormatBlank: true})
//
// Changing keys writes one copy of the header, waits until it is durable, and
// then the other. Whenever the power fails, one copy is whole, and the next Unlock
// brings the other one up to it.
//
// A unit whose ciphertext is all zeros reads as zeros: it was never written, or
// was discarded. So a new disk image is blank through a Device as well, and
// Discard gives space back. The price is that the disk shows which parts are in
// use.
//
// # Guarantees
//
// Who reads the disk, once, learns how much of it is in use and where, which
// kinds of keys there are and what deriving one costs, and nothing of the content
// but this: who reads it twice sees which 16 bytes changed and whether they
// changed back.
//
// A wrong secret changes nothing on the disk and gives ErrKey. A header is checked
// before it is believed; what deriving keys may cost is bounded before it is paid
// (ErrCost). Requests run in parallel, and do not allocate in the steady state.
//
// Secrets and data keys are wiped from memory that is this package's as soon as
// they are not needed, the expanded data key by Close of the Device. What cannot be
// wiped: that key as long as the Device is in use, or where it is x/crypto's; what
// argon2 leaves to the garbage collector; and copies that Go made of registers and
// of a goroutine's stack.
//
// # What it does not give
//
// Integrity. Who can write to the disk can put back old content, unit by unit or
// the whole disk with its old header and keys, zero any unit, and turn any 16
// bytes into noise. The checksums of blockfs and Pebble notice noise; they are not
// keyed, and old or zeroed content that fits together passes. A key that was
// removed still opens a copy of the disk that was made before. The decision page
// docs/decisions/0009-encryption-at-rest.md says why this is accepted.
//
// # What it refuses
//
// To format a device that is not blank (there is no encrypting in place, since
// the old content would stay readable in free space), to remove the last key,
// secrets that are empty or longer than MaxSecret, and devices with sectors above
// 4 KiB.
package blockcrypt
