package file

import (
	"errors"
	"sync/atomic"
)

// machine is the files of the machine that the program runs on.
var machine atomic.Pointer[FS]

// ErrNone says that the program does not run on a machine with such files.
var ErrNone = errors.New("this system's files have no past: it is not Tuplix")

// Provide makes fs the machine's files. It is the board's to call, once.
func Provide(fs *FS) { machine.Store(fs) }

// Here returns the files of the machine that the program runs on, or ErrNone.
func Here() (*FS, error) {
	if fs := machine.Load(); fs != nil {
		return fs, nil
	}
	return nil, ErrNone
}
