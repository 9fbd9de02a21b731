package main

import (
	"fmt"
	"io"
	"net"
)

// serveTCP answers connections of the throughput measurement. The first byte
// says what to do: 'w' to take data until the peer ends, then to send the
// number of bytes as text; 'r' to send data until the peer closes; 'e' to send
// back each byte.
func serveTCP(addr string) error {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	fmt.Printf("guest: listening on %s\n", l.Addr())
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		go handle(c)
	}
}

func handle(c net.Conn) {
	defer c.Close()
	buf := make([]byte, 256<<10)
	if _, err := io.ReadFull(c, buf[:1]); err != nil {
		return
	}
	switch buf[0] {
	case 'w':
		take(c, buf)
	case 'e':
		echo(c)
	case 'r':
		for {
			if _, err := c.Write(buf); err != nil {
				return
			}
		}
	}
}

// echo sends back what comes, byte by byte.
func echo(c net.Conn) {
	var b [1]byte
	for {
		if _, err := c.Read(b[:]); err != nil {
			return
		}
		if _, err := c.Write(b[:]); err != nil {
			return
		}
	}
}

// take reads to the end and reports how much it was. It does not use io.Copy,
// which would splice on Linux.
func take(c net.Conn, buf []byte) {
	var total int64
	for {
		n, err := c.Read(buf)
		total += int64(n)
		if err != nil {
			break
		}
	}
	fmt.Fprintln(c, total)
}
