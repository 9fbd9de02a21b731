package image

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// Images offer TamaGo's packages the runtime that these expect (shadowDir,
// runtime/goos). Two things are left to the build: the tags by which they leave
// definitions to whoever links them, and their boards.

// imageTags are set whenever an image is built. The first is for packages that
// can only be compiled into images; the others exist in TamaGo, which defines
// the start of the machine, its console and its memory unless they are set.
const imageTags = "tuplix,linkcpuinit,linkprintk,linkramsize,linkramstart"

// joinTags adds the image's tags to others, which are separated by commas or, as
// the go command also allows, by spaces.
func joinTags(tags string) string {
	return strings.Join(append(strings.Fields(tags), imageTags), ",")
}

// withTags adds the image's tags to those of GOFLAGS. The go command takes the
// last -tags that it sees, and one given to it in place of that of GOFLAGS.
func withTags(flags string) string {
	var tags string
	var rest []string
	for _, f := range strings.Fields(flags) {
		if name, value, _ := strings.Cut(strings.TrimLeft(f, "-"), "="); name == "tags" {
			tags = value
		} else {
			rest = append(rest, f)
		}
	}
	return strings.Join(append(rest, "-tags="+joinTags(tags)), " ")
}

// tamagoBoards is the path of TamaGo's board packages. Their init functions take
// the machine over: they load their own exception handlers, start the other
// processors, and claim memory at fixed addresses for devices.
const tamagoBoards = "github.com/usbarmory/tamago/board/"

// An initialisation record (runtime/proc.go, initTask):
//
//	0  state u32    0 to be done, 2 done
//	4  count u32    of functions, not 0 in a record to be done
//	8  address u64  of each function, the initialisation of variables first
const (
	taskDone   = 2
	taskCount  = 4
	taskHeader = 8
)

// disarmBoards takes the init functions of TamaGo's boards out of their records.
// Their variables are initialised as ever.
func (l *linked) disarmBoards() error {
	for symbol, s := range l.symbols {
		path, ok := strings.CutSuffix(symbol, taskSuffix)
		if !ok || !strings.HasPrefix(unescapePath(path), tamagoBoards) {
			continue
		}
		if err := l.onlyVariables(s.Value, l.symbols[path+".init"].Value); err != nil {
			return fmt.Errorf("image: %s: %w", symbol, err)
		}
	}
	return nil
}

// onlyVariables leaves one function at most in the record at addr: variables, 0
// if the package has none to initialise.
func (l *linked) onlyVariables(addr, variables uint64) error {
	off, err := l.offset(addr, taskHeader+pointerSize)
	if err != nil {
		return err
	}
	record := l.data[off : off+taskHeader+pointerSize]
	if variables != 0 && binary.LittleEndian.Uint64(record[taskHeader:]) == variables {
		binary.LittleEndian.PutUint32(record[taskCount:], 1)
		return nil
	}
	binary.LittleEndian.PutUint32(record, taskDone)
	return nil
}
