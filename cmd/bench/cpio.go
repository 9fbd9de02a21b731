package main

import (
	"fmt"
	"io"
)

// cpioWriter writes an archive in the format "newc", which Linux takes as its
// initial file system. Each entry is a header of 13 fields of 8 hexadecimal
// digits behind the magic "070701", the name with a NUL, padding to 4 bytes,
// the data, padding to 4 bytes. The entry "TRAILER!!!" ends it.
//
// Source: Documentation/driver-api/early-userspace/buffer-format.rst.
type cpioWriter struct {
	out   io.Writer
	inode int
	at    int // bytes written
	err   error
}

const (
	cpioDir  = 0o040755
	cpioFile = 0o100755
)

func (c *cpioWriter) dir(name string)               { c.entry(name, cpioDir, nil) }
func (c *cpioWriter) file(name string, data []byte) { c.entry(name, cpioFile, data) }

func (c *cpioWriter) entry(name string, mode int, data []byte) {
	c.inode++
	//                       magic ino  mode uid  gid  nlink time size dev  dev  rdev rdev name chk
	header := fmt.Sprintf("070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x",
		c.inode, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name)+1, 0)
	c.write([]byte(header + name + "\x00"))
	c.pad()
	c.write(data)
	c.pad()
}

// close ends the archive and returns the first error there was.
func (c *cpioWriter) close() error {
	c.entry("TRAILER!!!", 0, nil)
	return c.err
}

func (c *cpioWriter) pad() { c.write(make([]byte, -c.at&3)) }

func (c *cpioWriter) write(p []byte) {
	if c.err != nil {
		return
	}
	_, c.err = c.out.Write(p)
	c.at += len(p)
}
