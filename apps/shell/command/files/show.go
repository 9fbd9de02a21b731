package files

import (
	"fmt"
	"io/fs"
)

// Human shows a number of bytes in at most four digits and a binary unit, as
// in "512", "1.5K" and "20M". It rounds up, as what it counts must fit.
func Human(n uint64) string {
	const units = "KMGTPE"
	if n < 1024 {
		return fmt.Sprint(n)
	}
	unit, size := -1, float64(n)
	for size >= 1024 && unit < len(units)-1 {
		size /= 1024
		unit++
	}
	if size < 10 {
		if tenths := ceil(size * 10); tenths < 100 {
			return fmt.Sprintf("%d.%d%c", tenths/10, tenths%10, units[unit])
		}
	}
	whole := ceil(size)
	if whole == 1024 && unit < len(units)-1 {
		return fmt.Sprintf("1.0%c", units[unit+1])
	}
	return fmt.Sprintf("%d%c", whole, units[unit])
}

func ceil(f float64) uint64 {
	n := uint64(f)
	if float64(n) < f {
		n++
	}
	return n
}

// Mode shows a file mode as ls -l does: the type, then read, write and execute
// for owner, group and others.
func Mode(m fs.FileMode) string {
	out := []byte("----------")
	switch {
	case m.IsDir():
		out[0] = 'd'
	case m&fs.ModeSymlink != 0:
		out[0] = 'l'
	case m&fs.ModeCharDevice != 0:
		out[0] = 'c'
	case m&fs.ModeDevice != 0:
		out[0] = 'b'
	case m&fs.ModeNamedPipe != 0:
		out[0] = 'p'
	case m&fs.ModeSocket != 0:
		out[0] = 's'
	}
	for i := range 9 {
		if m&(1<<(8-i)) != 0 {
			out[1+i] = "rwx"[i%3]
		}
	}
	special(out, 3, m&fs.ModeSetuid != 0, 's')
	special(out, 6, m&fs.ModeSetgid != 0, 's')
	special(out, 9, m&fs.ModeSticky != 0, 't')
	return string(out)
}

// special puts a set-id or sticky mark over an execute bit: a small letter
// where the bit is set too, a capital where it is not.
func special(out []byte, at int, set bool, letter byte) {
	switch {
	case set && out[at] == 'x':
		out[at] = letter
	case set:
		out[at] = letter - 'a' + 'A'
	}
}
