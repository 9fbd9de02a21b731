package linux

import (
	"syscall"
	"time"

	"github.com/tuplix/tuplix/services/file"
	"golang.org/x/sys/unix"
)

var statCalls = []call{
	{unix.SYS_FSTAT, (*System).fstat},
	{unix.SYS_STATX, (*System).statx},
	{unix.SYS_FACCESSAT, (*System).faccessat},
	{unix.SYS_FACCESSAT2, (*System).faccessat2},
	{unix.SYS_STATFS, (*System).statfs},
	{unix.SYS_FSTATFS, (*System).fstatfs},
}

// storedSectors is st_blocks, in units of 512 bytes: the stored blocks, the
// last of which is only as long as its data.
func storedSectors(a *file.Attr) int64 {
	if a.Type() != syscall.S_IFREG {
		return 0
	}
	bytes := min(a.Blocks*file.BlockSize, (a.Size+pageSize-1)&^(pageSize-1))
	return (bytes + 511) / 512
}

func (s *System) fstat(a *[6]uintptr) (int, syscall.Errno) {
	f, e := s.file(a[0])
	if e != 0 {
		return 0, e
	}
	defer f.release()
	st, e := object[syscall.Stat_t](&a[1])
	if e != 0 {
		return 0, e
	}
	*st = syscall.Stat_t{}
	return 0, errno(f.description.Stat(st))
}

// newfstatat is also behind stat and lstat.
func (s *System) newfstatat(a *[6]uintptr) (int, syscall.Errno) {
	const known = unix.AT_SYMLINK_NOFOLLOW | unix.AT_EMPTY_PATH | unix.AT_NO_AUTOMOUNT
	if a[3]&^known != 0 {
		return 0, syscall.EINVAL
	}
	return 0, s.statInto(a[0], &a[1], &a[2], a[3])
}

func (s *System) statInto(dirfd uintptr, path, out *uintptr, flags uintptr) syscall.Errno {
	st, e := object[syscall.Stat_t](out)
	if e != 0 {
		return e
	}
	return errno(s.statAt(dirfd, path, flags, st))
}

// statAt stats a path or, with AT_EMPTY_PATH, a descriptor of any kind.
func (s *System) statAt(dirfd uintptr, path *uintptr, flags uintptr, st *syscall.Stat_t) error {
	n, err := s.resolveAt(dirfd, path, flags, toPass)
	if err == nil {
		a := n.Attr()
		fillStat(st, n.device(), &a)
		return nil
	}
	if err != syscall.ENOTDIR || flags&unix.AT_EMPTY_PATH == 0 {
		return err
	}
	if name, e := cString(path); e == 0 && name != "" {
		return err
	}
	f, e := s.file(dirfd)
	if e != 0 {
		return e
	}
	defer f.release()
	*st = syscall.Stat_t{}
	return f.description.Stat(st)
}

// atStatxSync is AT_STATX_SYNC_TYPE: how fresh a network file's answer is to be.
const atStatxSync = 0x6000

func (s *System) statx(a *[6]uintptr) (int, syscall.Errno) {
	const known = unix.AT_SYMLINK_NOFOLLOW | unix.AT_EMPTY_PATH | unix.AT_NO_AUTOMOUNT | atStatxSync
	if a[2]&^known != 0 {
		return 0, syscall.EINVAL
	}
	out, e := object[unix.Statx_t](&a[4])
	if e != 0 {
		return 0, e
	}
	var st syscall.Stat_t
	if err := s.statAt(a[0], &a[1], a[2], &st); err != nil {
		return 0, errno(err)
	}
	fillStatx(out, &st)
	if n, err := s.resolveAt(a[0], &a[1], a[2], bySystem); err == nil {
		out.Btime = statxTime(n.Attr().Born)
		out.Mask |= unix.STATX_BTIME
	}
	return 0, 0
}

func fillStatx(out *unix.Statx_t, st *syscall.Stat_t) {
	*out = unix.Statx_t{
		Mask:       unix.STATX_BASIC_STATS,
		Blksize:    uint32(st.Blksize),
		Nlink:      uint32(st.Nlink),
		Uid:        st.Uid,
		Gid:        st.Gid,
		Mode:       uint16(st.Mode),
		Ino:        st.Ino,
		Size:       uint64(st.Size),
		Blocks:     uint64(st.Blocks),
		Atime:      statxTime(syscall.TimespecToNsec(st.Atim)),
		Mtime:      statxTime(syscall.TimespecToNsec(st.Mtim)),
		Ctime:      statxTime(syscall.TimespecToNsec(st.Ctim)),
		Rdev_major: unix.Major(st.Rdev),
		Rdev_minor: unix.Minor(st.Rdev),
		Dev_major:  unix.Major(st.Dev),
		Dev_minor:  unix.Minor(st.Dev),
	}
}

func statxTime(ns int64) unix.StatxTimestamp {
	t := time.Unix(0, ns)
	return unix.StatxTimestamp{Sec: t.Unix(), Nsec: uint32(t.Nanosecond())}
}

func (s *System) faccessat(a *[6]uintptr) (int, syscall.Errno) {
	return s.accessAt(a[0], &a[1], a[2], 0)
}

func (s *System) faccessat2(a *[6]uintptr) (int, syscall.Errno) {
	const known = unix.AT_SYMLINK_NOFOLLOW | unix.AT_EMPTY_PATH | unix.AT_EACCESS
	if a[3]&^known != 0 {
		return 0, syscall.EINVAL
	}
	return s.accessAt(a[0], &a[1], a[2], a[3])
}

// accessAt answers by what the caller may do: root may read and write everything.
// Executed is a directory, or what anybody may execute.
func (s *System) accessAt(dirfd uintptr, path *uintptr, mode, flags uintptr) (int, syscall.Errno) {
	if mode&^(unix.R_OK|unix.W_OK|unix.X_OK) != 0 {
		return 0, syscall.EINVAL
	}
	want := toPass
	if mode&unix.W_OK != 0 {
		want = toEdit
	}
	n, err := s.resolveAt(dirfd, path, flags, want)
	if err != nil {
		return 0, errno(err)
	}
	a := n.Attr()
	if mode&unix.X_OK != 0 && a.Type() != syscall.S_IFDIR && a.Mode&0o111 == 0 {
		return 0, syscall.EACCES
	}
	return 0, 0
}

func (s *System) statfs(a *[6]uintptr) (int, syscall.Errno) {
	path, e := cString(&a[0])
	if e != 0 {
		return 0, e
	}
	n, err := s.resolve(atCWD, path, true, toPass)
	if err != nil {
		return 0, errno(err)
	}
	return s.statfsInto(n.device(), &a[1])
}

func (s *System) fstatfs(a *[6]uintptr) (int, syscall.Errno) {
	f, e := s.file(a[0])
	if e != 0 {
		return 0, e
	}
	defer f.release()
	var st syscall.Stat_t
	if err := f.description.Stat(&st); err != nil {
		return 0, errno(err)
	}
	return s.statfsInto(st.Dev, &a[1])
}

// filesType is what mount tables call the file service, and filesMagic its
// f_type, "tplx" in ASCII, most significant byte first. It is none of Linux's
// numbers: what a program knows of another file system does not hold here.
const (
	filesType  = "tuplix"
	filesMagic = 0x74706c78
)

func (s *System) statfsInto(device uint64, out *uintptr) (int, syscall.Errno) {
	st, e := object[unix.Statfs_t](out)
	if e != 0 {
		return 0, e
	}
	*st = unix.Statfs_t{Bsize: pageSize, Frsize: pageSize, Namelen: file.MaxName}
	switch {
	case device == deviceFiles, device >= deviceAt:
		total, free := s.files.Space()
		if total == 0 { // no device: the files are in memory
			total, free = s.machine.Memory()
		}
		st.Type, st.Flags = filesMagic, unix.ST_NOATIME
		if device >= deviceAt {
			st.Flags |= unix.ST_RDONLY
		}
		st.Blocks, st.Bfree, st.Bavail = total/pageSize, free/pageSize, free/pageSize
		st.Files, st.Ffree = 1<<40, 1<<40 // there is no table that could fill up
	case device == deviceProc:
		st.Type = unix.PROC_SUPER_MAGIC
	case device == deviceSys:
		st.Type = unix.SYSFS_MAGIC
	default:
		st.Type = unix.PIPEFS_MAGIC
	}
	return 0, 0
}
