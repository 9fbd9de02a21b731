package tty

import "golang.org/x/sys/unix"

// Termios is the struct termios of the system calls (36 bytes; what libc and
// x/sys/unix call so is longer):
//
//	0  input flags (4)      16  line discipline (1)
//	4  output flags (4)     17  control characters (19)
//	8  control flags (4)
//	12 local flags (4)
type Termios struct {
	Iflag, Oflag, Cflag, Lflag uint32
	Line                       uint8
	Cc                         [19]uint8
}

// control makes a control character of its letter.
func control(letter byte) byte { return letter & 0x1f }

// sane is what a terminal starts with, as on Linux.
func sane() Termios {
	t := Termios{
		Iflag: unix.ICRNL | unix.IXON | unix.IUTF8,
		Oflag: unix.OPOST | unix.ONLCR,
		Cflag: unix.CREAD | unix.CS8 | unix.B115200 | unix.HUPCL,
		Lflag: unix.ISIG | unix.ICANON | unix.IEXTEN |
			unix.ECHO | unix.ECHOE | unix.ECHOK | unix.ECHOCTL | unix.ECHOKE,
	}
	t.Cc[unix.VINTR] = control('C')
	t.Cc[unix.VQUIT] = control('\\')
	t.Cc[unix.VERASE] = 0x7f
	t.Cc[unix.VKILL] = control('U')
	t.Cc[unix.VEOF] = control('D')
	t.Cc[unix.VMIN] = 1
	t.Cc[unix.VSTART] = control('Q')
	t.Cc[unix.VSTOP] = control('S')
	t.Cc[unix.VSUSP] = control('Z')
	t.Cc[unix.VREPRINT] = control('R')
	t.Cc[unix.VWERASE] = control('W')
	t.Cc[unix.VLNEXT] = control('V')
	return t
}

func (t *Termios) input(flag uint32) bool  { return t.Iflag&flag != 0 }
func (t *Termios) output(flag uint32) bool { return t.Oflag&flag != 0 }
func (t *Termios) local(flag uint32) bool  { return t.Lflag&flag != 0 }

// is tells whether c is the control character with that index; 0 means that
// the character is switched off.
func (t *Termios) is(c byte, index int) bool { return c != 0 && t.Cc[index] == c }
