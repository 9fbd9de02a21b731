package linux

import (
	"syscall"

	"github.com/tuplix/tuplix/services/file"
)

// fillStat converts attributes to the struct stat of this architecture.
func fillStat(st *syscall.Stat_t, device uint64, a *file.Attr) {
	*st = syscall.Stat_t{
		Dev:     device,
		Ino:     a.Number,
		Nlink:   uint64(a.Links),
		Mode:    a.Mode,
		Uid:     a.UID,
		Gid:     a.GID,
		Rdev:    a.Device,
		Size:    a.Size,
		Blksize: file.BlockSize,
		Blocks:  storedSectors(a),
		Atim:    syscall.NsecToTimespec(a.Accessed),
		Mtim:    syscall.NsecToTimespec(a.Modified),
		Ctim:    syscall.NsecToTimespec(a.Changed),
	}
}
