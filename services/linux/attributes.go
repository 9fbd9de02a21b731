package linux

import (
	"syscall"

	"github.com/tuplix/tuplix/services/file"
	"golang.org/x/sys/unix"
)

var attributeCalls = []call{
	{unix.SYS_FCHMOD, (*System).fchmod},
	{unix.SYS_FCHMODAT, (*System).fchmodat},
	{sysFchmodat2, (*System).fchmodat2},
	{unix.SYS_FCHOWN, (*System).fchown},
	{unix.SYS_FCHOWNAT, (*System).fchownat},
	{unix.SYS_UTIMENSAT, (*System).utimensat},
	{unix.SYS_TRUNCATE, (*System).truncate},
	{unix.SYS_FTRUNCATE, (*System).ftruncate},
	{unix.SYS_FALLOCATE, (*System).fallocate},
	{unix.SYS_FADVISE64, (*System).fadvise},
	{unix.SYS_UMASK, (*System).setUmask},
	{unix.SYS_FSYNC, (*System).fsync},
	{unix.SYS_FDATASYNC, (*System).fsync},
	{unix.SYS_SYNC, (*System).syncAll},
	{unix.SYS_SYNCFS, (*System).syncfs},
	{unix.SYS_SYNC_FILE_RANGE, (*System).fsync},
}

// refusedCalls concern what the files do not have, and are refused with the
// errno by which programs know to do without.
var refusedCalls = []call{
	{unix.SYS_MOUNT, (*System).notPermitted},
	{unix.SYS_UMOUNT2, (*System).notPermitted},
	{unix.SYS_CHROOT, (*System).notPermitted},
}

// sysFchmodat2 has the same number on all architectures.
const sysFchmodat2 = 452

// update changes the attributes of a node.
func update(n node, err error, fn func(*file.Attr)) syscall.Errno {
	if err != nil {
		return errno(err)
	}
	inode, err := editable(n)
	if err != nil {
		return errno(err)
	}
	return errno(inode.Update(fn))
}

// openNodeArg is the inode behind a descriptor on which attributes may be
// looked at; not an O_PATH one.
func (s *System) openNodeArg(fd uintptr) (node, error) {
	f, e := s.file(fd)
	if e != 0 {
		return nil, e
	}
	defer f.release()
	if f.flags.Load()&oPath != 0 {
		return nil, syscall.EBADF
	}
	if l, ok := f.description.(located); ok {
		return l.node(), nil
	}
	return nil, syscall.EINVAL
}

// changedNode is openNodeArg for attributes that are to be set.
func (s *System) changedNode(fd uintptr) (node, error) {
	n, err := s.openNodeArg(fd)
	if err != nil {
		return nil, err
	}
	return n, s.permitDescriptor(fd, n)
}

func (s *System) fchmod(a *[6]uintptr) (int, syscall.Errno) {
	n, err := s.changedNode(a[0])
	return s.attributed(&[6]uintptr{a[0]}, 0, chmod(n, err, a[1]))
}

// attributed tells who watches of a change of attributes that succeeded: of what the first
// two arguments name, or of the first alone.
func (s *System) attributed(a *[6]uintptr, flags uintptr, e syscall.Errno) (int, syscall.Errno) {
	if e == 0 {
		s.happenedAt(a[0], &a[1], flags, unix.IN_ATTRIB)
	}
	return 0, e
}

func chmod(n node, err error, mode uintptr) syscall.Errno {
	if err == nil && n.Attr().Type() == syscall.S_IFLNK {
		return syscall.EOPNOTSUPP
	}
	return update(n, err, func(a *file.Attr) { a.Mode = uint32(mode) })
}

func (s *System) fchmodat(a *[6]uintptr) (int, syscall.Errno) {
	n, err := s.resolveAt(a[0], &a[1], 0, toEdit)
	return s.attributed(a, 0, chmod(n, err, a[2]))
}

func (s *System) fchmodat2(a *[6]uintptr) (int, syscall.Errno) {
	if a[3]&^(unix.AT_SYMLINK_NOFOLLOW|unix.AT_EMPTY_PATH) != 0 {
		return 0, syscall.EINVAL
	}
	n, err := s.resolveAt(a[0], &a[1], a[3], toEdit)
	return s.attributed(a, a[3], chmod(n, err, a[2]))
}

func (s *System) fchown(a *[6]uintptr) (int, syscall.Errno) {
	n, err := s.changedNode(a[0])
	return s.attributed(&[6]uintptr{a[0]}, 0, chown(n, err, a[1], a[2]))
}

func (s *System) fchownat(a *[6]uintptr) (int, syscall.Errno) {
	if a[4]&^(unix.AT_SYMLINK_NOFOLLOW|unix.AT_EMPTY_PATH) != 0 {
		return 0, syscall.EINVAL
	}
	n, err := s.resolveAt(a[0], &a[1], a[4], toEdit)
	return s.attributed(a, a[4], chown(n, err, a[2], a[3]))
}

// unchanged is the owner or group that chown leaves as it is.
const unchanged = ^uint32(0)

func chown(n node, err error, uid, gid uintptr) syscall.Errno {
	return update(n, err, func(a *file.Attr) {
		if uint32(uid) != unchanged {
			a.UID = uint32(uid)
		}
		if uint32(gid) != unchanged {
			a.GID = uint32(gid)
		}
		if a.Type() == syscall.S_IFREG {
			a.Mode &^= syscall.S_ISUID
			if a.Mode&0o010 != 0 {
				a.Mode &^= syscall.S_ISGID
			}
		}
	})
}

// utimensat sets the times; without a path those of the descriptor.
func (s *System) utimensat(a *[6]uintptr) (int, syscall.Errno) {
	if a[3]&^(unix.AT_SYMLINK_NOFOLLOW|unix.AT_EMPTY_PATH) != 0 {
		return 0, syscall.EINVAL
	}
	times := timesNow()
	if a[2] != 0 {
		var e syscall.Errno
		if times, e = array[unix.Timespec](&a[2], 2); e != 0 {
			return 0, e
		}
	}
	if times[0].Nsec == unix.UTIME_OMIT && times[1].Nsec == unix.UTIME_OMIT {
		return 0, 0 // whatever the path is
	}
	return s.setTimes(a, times)
}

func timesNow() []unix.Timespec {
	return []unix.Timespec{{Nsec: unix.UTIME_NOW}, {Nsec: unix.UTIME_NOW}}
}

// setTimes looks for the path first, and judges the times then.
func (s *System) setTimes(a *[6]uintptr, times []unix.Timespec) (int, syscall.Errno) {
	var n node
	var err error
	if a[1] == 0 {
		n, err = s.changedNode(a[0])
	} else {
		n, err = s.resolveAt(a[0], &a[1], a[3], toEdit)
	}
	if err != nil {
		return 0, errno(err)
	}
	now := s.now().UnixNano()
	accessed, e := timeArg(times[0], &now)
	if e != 0 {
		return 0, e
	}
	modified, e := timeArg(times[1], &now)
	if e != 0 {
		return 0, e
	}
	e = update(n, nil, func(at *file.Attr) {
		if accessed != nil {
			at.Accessed = *accessed
		}
		if modified != nil {
			at.Modified = *modified
		}
	})
	if e == 0 {
		mask := uint32(unix.IN_ATTRIB)
		switch {
		case accessed == nil:
			mask = unix.IN_MODIFY
		case modified == nil:
			mask = unix.IN_ACCESS
		}
		s.happenedAt(a[0], &a[1], a[3], mask)
	}
	return 0, e
}

// timeArg is the time to set; nil for UTIME_OMIT.
func timeArg(t unix.Timespec, now *int64) (*int64, syscall.Errno) {
	switch t.Nsec {
	case unix.UTIME_NOW:
		return now, 0
	case unix.UTIME_OMIT:
		return nil, 0
	}
	if t.Nsec < 0 || t.Nsec >= 1e9 {
		return nil, syscall.EINVAL
	}
	ns := unix.TimespecToNsec(t)
	return &ns, 0
}

func (s *System) truncate(a *[6]uintptr) (int, syscall.Errno) {
	if int64(a[1]) < 0 {
		return 0, syscall.EINVAL
	}
	path, e := cString(&a[0])
	if e != 0 {
		return 0, e
	}
	n, err := s.resolve(atCWD, path, true, toEdit)
	if err != nil {
		return 0, errno(err)
	}
	switch n.Attr().Type() {
	case syscall.S_IFDIR:
		return 0, syscall.EISDIR
	case syscall.S_IFREG:
	default:
		return 0, syscall.EINVAL
	}
	inode, err := editable(n)
	if err != nil {
		return 0, errno(err)
	}
	if err := inode.Truncate(int64(a[1])); err != nil {
		return 0, errno(err)
	}
	s.happenedAt(atCWD, &a[0], 0, unix.IN_MODIFY)
	return 0, 0
}

func (s *System) ftruncate(a *[6]uintptr) (int, syscall.Errno) {
	if int64(a[1]) < 0 {
		return 0, syscall.EINVAL
	}
	f, e := s.usableFile(a[0])
	if e != 0 {
		return 0, e
	}
	defer f.release()
	t, ok := f.description.(Truncater)
	if !ok || !f.writable() {
		return 0, syscall.EINVAL
	}
	err := t.Truncate(int64(a[1]))
	if err == nil {
		s.happened(f, unix.IN_MODIFY)
	}
	return 0, errno(err)
}

func (s *System) fallocate(a *[6]uintptr) (int, syscall.Errno) {
	f, e := s.file(a[0])
	if e != 0 {
		return 0, e
	}
	defer f.release()
	off, n := int64(a[2]), int64(a[3])
	switch {
	case off < 0 || n <= 0:
		return 0, syscall.EINVAL
	case a[1]&unix.FALLOC_FL_PUNCH_HOLE != 0 && a[1]&unix.FALLOC_FL_KEEP_SIZE == 0:
		return 0, syscall.EOPNOTSUPP
	case !f.writable():
		return 0, syscall.EBADF
	case off > file.MaxSize-n:
		return 0, syscall.EFBIG
	}
	d, ok := f.description.(Allocater)
	if !ok {
		return 0, notAFile(f.description)
	}
	err := d.Allocate(uint32(a[1]), off, n)
	if err == nil {
		s.happened(f, unix.IN_MODIFY)
	}
	return 0, errno(err)
}

// notAFile is the errno for a description that is no regular file.
func notAFile(d Description) syscall.Errno {
	if _, pollable := d.(Pollable); pollable {
		return syscall.ESPIPE
	}
	return syscall.ENODEV
}

// fadvise takes advice on regular files and does nothing with it.
func (s *System) fadvise(a *[6]uintptr) (int, syscall.Errno) {
	f, e := s.file(a[0])
	if e != 0 {
		return 0, e
	}
	defer f.release()
	if _, ok := f.description.(Seeker); !ok {
		return 0, syscall.ESPIPE
	}
	return 0, 0
}

func (s *System) setUmask(a *[6]uintptr) (int, syscall.Errno) {
	return int(s.umask.Swap(uint32(a[0]) & 0o777)), 0
}

// fsync also serves fdatasync and sync_file_range: the log that is synced
// holds data and attributes alike.
func (s *System) fsync(a *[6]uintptr) (int, syscall.Errno) {
	f, e := s.usableFile(a[0])
	if e != 0 {
		return 0, e
	}
	defer f.release()
	d, ok := f.description.(Syncer)
	if !ok {
		return 0, syscall.EINVAL
	}
	return 0, errno(d.Sync())
}

func (s *System) syncAll(*[6]uintptr) (int, syscall.Errno) {
	_ = s.files.Sync() // sync(2) reports nothing; fsync and syncfs will
	return 0, 0
}

func (s *System) syncfs(a *[6]uintptr) (int, syscall.Errno) {
	f, e := s.file(a[0])
	if e != 0 {
		return 0, e
	}
	defer f.release()
	return 0, errno(s.files.Sync())
}
