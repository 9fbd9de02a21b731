package pc

import (
	"errors"
	"fmt"
	"syscall"

	"github.com/tuplix/tuplix/dbms/blockcrypt"
	"github.com/tuplix/tuplix/dbms/blockfs"
	"github.com/tuplix/tuplix/services/file"
)

// byForce is the way out that always works, and loses what there is.
const byForce = "or erase it by booting with format=force (tuplix run -cmdline format=force)"

// refusals are the reasons not to use a disk, and what to do then. The first that
// fits counts.
var refusals = []struct {
	reason error
	advice string
}{
	{blockcrypt.ErrKey, "nothing on it is changed: give the passphrase or key file that it was made with, or its recovery key"},
	{blockcrypt.ErrCost, "give the machine more memory (tuplix run -m), or a recovery key"},
	{blockcrypt.ErrVersion, "nothing on it is changed: boot the version that wrote it, or use a new disk"},
	{blockcrypt.ErrCorrupt, "nothing on it is changed: put a copy from before in its place, or use a new disk"},
	{errNotEncrypted, "nothing on it is changed: use the disk that the key is for, or boot without a key"},
	{errNoKey, "nothing on it is changed: hand the key over (tuplix run -key-file FILE), or attach a console"},
	{errGaveUp, "nothing on it is changed"},
	{blockfs.ErrForeign, "nothing on it is changed: use another one, " + byForce},
	{blockfs.ErrVersion, newer},
	{file.ErrFormat, newer},
	{blockfs.ErrDevice, "attach the disk as it was when it was made, or a new one of 64 MiB or more"},
	{blockfs.ErrCorrupt, damaged},
	{file.ErrDamaged, damaged},
	{syscall.EIO, "the disk fails: look at the host's log, and save what can be copied of it"},
	{syscall.ENOSPC, "the disk is too small or full: attach a larger one"},
}

const (
	newer   = "nothing on it is erased: boot the version that wrote it, " + byForce
	damaged = "nothing on it is erased: put a copy from before in its place, " + byForce
)

// advise adds to the reason why a disk is not used what someone can do about it.
func advise(err error) error {
	for _, r := range refusals {
		if errors.Is(err, r.reason) {
			return fmt.Errorf("%w; %s", err, r.advice)
		}
	}
	return fmt.Errorf("%w; the disk cannot be used: if another version wrote it, boot that one; else use a copy from before, %s", err, byForce)
}
