package pc

import (
	"errors"
	"io"
)

// errGaveUp says that the person at the console typed Ctrl-C or Ctrl-D.
var errGaveUp = errors.New("given up at the console")

// maxPrompt bounds what is typed at a prompt, in bytes.
const maxPrompt = 1024

// Keys that a prompt understands.
const (
	keyInterrupt = 'C' & 0x1f
	keyEnd       = 'D' & 0x1f
	keyErase     = '\b'
	keyLine      = 'U' & 0x1f // erases all
	keyDelete    = 0x7f
)

// prompt asks at the console before there is a terminal.
type prompt struct {
	port io.ReadWriter
	rest []byte // received, and not yet read
}

// secret asks for a line and shows nothing of it. The caller wipes it.
func (p *prompt) secret(question string) (line []byte, err error) {
	if _, err := io.WriteString(p.port, question); err != nil {
		return nil, err
	}
	line = make([]byte, 0, maxPrompt)
	for {
		c, err := p.next()
		if err != nil {
			clear(line)
			return nil, err
		}
		switch c {
		case '\r', '\n':
			_, err := io.WriteString(p.port, "\r\n")
			return line, err
		case keyInterrupt, keyEnd:
			clear(line)
			return nil, errGaveUp
		case keyErase, keyDelete:
			line = line[:len(line)-lastRune(line)]
		case keyLine:
			line = line[:0]
		default:
			if len(line) < maxPrompt {
				line = append(line, c)
			}
		}
	}
}

// next is the next byte received.
func (p *prompt) next() (byte, error) {
	for len(p.rest) == 0 {
		p.rest = make([]byte, 64)
		n, err := p.port.Read(p.rest)
		p.rest = p.rest[:n]
		if err != nil && n == 0 {
			return 0, err
		}
	}
	c := p.rest[0]
	p.rest[0] = 0 // it may be part of a secret
	p.rest = p.rest[1:]
	return c, nil
}

// lastRune is the length of the last character in UTF-8.
func lastRune(line []byte) int {
	n := 0
	for n < len(line) {
		n++
		if line[len(line)-n]&0xc0 != 0x80 {
			break
		}
	}
	return n
}
