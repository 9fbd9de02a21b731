package volume

import (
	"errors"
	"slices"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// ErrNone says that the program does not run on a machine that has a volume.
var ErrNone = errors.New("this process has no volume of a machine: it is not booted by tuplix; on a Linux host open a file by board/host")

// Place is a volume, and what a store on it may use.
type Place struct {
	FS     vfs.FS
	Memory int // bytes, for caches and buffers
	Log    func(format string, args ...any)
}

var machine struct {
	sync.Mutex
	place  Place
	atExit []func() error
}

// Provide makes p the machine's. It is the board's to call, once.
func Provide(p Place) {
	machine.Lock()
	defer machine.Unlock()
	machine.place = p
}

// Here returns the machine's place, or ErrNone.
func Here() (Place, error) {
	machine.Lock()
	defer machine.Unlock()
	if machine.place.FS == nil {
		return Place{}, ErrNone
	}
	return machine.place, nil
}

// AtExit has fn run before the machine ends. What it works on stays in use
// meanwhile: fn makes durable, it does not close.
func AtExit(fn func() error) {
	machine.Lock()
	defer machine.Unlock()
	machine.atExit = append(machine.atExit, fn)
}

// Leave runs what AtExit has entered. It is the board's to call.
func Leave() error {
	machine.Lock()
	todo := machine.atExit
	machine.atExit = nil
	machine.Unlock()
	slices.Reverse(todo)
	var errs []error
	for _, fn := range todo {
		errs = append(errs, fn())
	}
	return errors.Join(errs...)
}
