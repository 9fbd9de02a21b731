package session

import (
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// unheard tells whether w is a pipe that nobody reads any more.
func unheard(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	conn, err := f.SyscallConn()
	if err != nil {
		return false
	}
	broken := false
	err = conn.Control(func(fd uintptr) {
		list := []unix.PollFd{{Fd: int32(fd)}}
		n, err := unix.Poll(list, 0)
		broken = err == nil && n == 1 && list[0].Revents&unix.POLLERR != 0
	})
	return err == nil && broken
}
