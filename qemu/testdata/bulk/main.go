// Command bulk is the guest of a test of the network: it moves bytes over TCP.
//
// The first byte of a connection says what is wanted:
//
//	r    read all that follows, then answer with its SHA-256, 32 bytes
//	s    send as many bytes as the next eight say (big endian), of the stream that
//	     the test knows too
package main

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"os"
	"strings"
)

func main() {
	l, err := net.Listen("tcp", ":7")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("bulk: listening")
	for {
		c, err := l.Accept()
		if err != nil {
			log.Fatal(err)
		}
		if err := serve(c); err != nil {
			log.Fatal(err)
		}
		if err := c.Close(); err != nil {
			log.Fatal(err)
		}
		if err := count(); err != nil {
			log.Fatal(err)
		}
	}
}

func serve(c net.Conn) error {
	order := make([]byte, 1)
	if _, err := io.ReadFull(c, order); err != nil {
		return err
	}
	switch order[0] {
	case 'r':
		h := sha256.New()
		if _, err := io.Copy(h, c); err != nil {
			return err
		}
		_, err := c.Write(h.Sum(nil))
		return err
	case 's':
		size := make([]byte, 8)
		if _, err := io.ReadFull(c, size); err != nil {
			return err
		}
		_, err := io.CopyN(c, rand.NewChaCha8([32]byte{1}), int64(binary.BigEndian.Uint64(size)))
		return err
	}
	return fmt.Errorf("order %q", order)
}

// count prints how many bytes and packets the card has received and sent.
func count() error {
	text, err := os.ReadFile("/proc/net/dev")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(text)) {
		if name, rest, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "eth0" {
			f := strings.Fields(rest)
			fmt.Println("bulk:", f[0], f[1], f[8], f[9])
		}
	}
	return nil
}
