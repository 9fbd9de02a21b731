package linux

import (
	"encoding/binary"
	"syscall"

	"golang.org/x/sys/unix"
)

// Passing descriptors over Unix sockets (SCM_RIGHTS). A file in flight holds a
// reference. Files that are passed over a socket which is itself in flight in
// a circle are never freed; Linux has a collector for them, we have not.

// maxRights is the most descriptors that one message may carry (SCM_MAX_FD).
const maxRights = 253

// collectFiles takes references to the files that a sender passes on.
func (s *System) collectFiles(control []byte) ([]*openFile, error) {
	if len(control) == 0 {
		return nil, nil
	}
	var files []*openFile
	err := eachControl(control, func(level, kind int, data []byte) error {
		if level != unix.SOL_SOCKET || kind == unix.SCM_CREDENTIALS {
			return nil // credentials can only be the true ones
		}
		if kind != unix.SCM_RIGHTS {
			return syscall.EINVAL
		}
		for ; len(data) >= 4; data = data[4:] {
			f := s.table.get(int(int32(binary.LittleEndian.Uint32(data))))
			if f == nil {
				return syscall.EBADF
			}
			files = append(files, f)
			if len(files) > maxRights {
				return syscall.EINVAL
			}
		}
		return nil
	})
	if err != nil {
		releaseFiles(files)
		return nil, err
	}
	return files, nil
}

// releaseFiles drops files in flight. An error of closing one has nobody to
// go to: the sender has long closed it, and the receiver never saw it.
func releaseFiles(files []*openFile) {
	for _, f := range files {
		_ = f.release()
	}
}

// deliverFiles gives the receiver descriptors for the files of a message, as
// many as its control buffer has room for.
func (s *System) deliverFiles(m *message, files []*openFile) {
	if len(files) == 0 {
		return
	}
	defer releaseFiles(files)
	room := max((len(m.control)-m.controlLen-controlHeader)/4, 0)
	if room < len(files) {
		m.outFlags |= unix.MSG_CTRUNC
	}
	var fds []int
	for _, f := range files[:min(room, len(files))] {
		fd, e := s.installAt(f, 0, m.flags&unix.MSG_CMSG_CLOEXEC != 0)
		if e != 0 {
			m.outFlags |= unix.MSG_CTRUNC
			break
		}
		fds = append(fds, fd)
	}
	if len(fds) == 0 {
		return
	}
	p := m.putControl(unix.SOL_SOCKET, unix.SCM_RIGHTS, 4*len(fds))
	for i, fd := range fds {
		binary.LittleEndian.PutUint32(p[4*i:], uint32(fd))
	}
}
