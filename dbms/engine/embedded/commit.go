package embedded

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/tuplix/tuplix/dbms/engine"
)

// commit is the record of one transaction, without its version:
//
//	 0     1
//	├─────┼──────────────────────────────────────────────────────────────────
//	 flags who        rows read, rows written, [wall clock], [task], [ID]
//
// or, with no option and few rows, as most are:
//
//	 0             1
//	├─────────────┼─────
//	 small counts  who
//
// The byte of small counts is commitSmall, rows read in bits 4 to 6, rows written in
// the lower ones; who is a byte here. Numbers are uvarints, texts have their length
// as a uvarint before them. Who is the number of the user, program and procedure
// name in the who-table, or with commitInline those three texts. The wall clock is
// its distance from the version's in microseconds, zigzag, and is there if it is not
// 0. Task and ID are there if they are not empty; an ID that the engine chose is
// not: it follows from the version.
type commit struct {
	who           uint32
	user          string
	program       string
	name          string
	task          string
	id            string
	read, written uint64
	skew          int64
	traced        bool // the keys are in a trace of their own
}

const (
	commitInline = 1 << iota
	commitSkew
	commitTask
	commitID
	commitTraced

	commitFlags = 1<<iota - 1

	commitSmall  = 1 << 7
	smallRead    = 1<<3 - 1
	smallWritten = 1<<4 - 1
	smallCommit  = 2 // bytes of a small record
)

// maxCommit is the largest record: flags, five texts, three numbers.
const maxCommit = 1 + 5*(2+engine.MaxOpField) + 3*binary.MaxVarintLen64

// A record must fit into a row's header.
const _ uint = maxHeader - maxCommit

var errCommit = errors.New("malformed record of a commit")

// isSmall tells whether who and the counts fit into a small record.
func isSmall(who uint32, read, written uint64) bool {
	return who-1 < 255 && read <= smallRead && written <= smallWritten
}

// smallRecord is a small record as a number, which is not 0. It is written and read as
// such: two bytes that were written one by one are not there yet for who reads both.
func smallRecord(who uint32, read, written uint64) uint16 {
	return commitSmall | uint16(read)<<4 | uint16(written) | uint16(who)<<8
}

func appendSmall(b []byte, small uint16) []byte { return binary.LittleEndian.AppendUint16(b, small) }

func (c *commit) append(b []byte) []byte {
	flags := byte(0)
	set := func(is bool, f byte) {
		if is {
			flags |= f
		}
	}
	set(c.who == 0, commitInline)
	set(c.skew != 0, commitSkew)
	set(c.task != "", commitTask)
	set(c.id != "", commitID)
	set(c.traced, commitTraced)
	if flags == 0 && isSmall(c.who, c.read, c.written) {
		return appendSmall(b, smallRecord(c.who, c.read, c.written))
	}
	b = append(b, flags)
	if c.who == 0 {
		b = appendText(appendText(appendText(b, c.user), c.program), c.name)
	} else {
		b = binary.AppendUvarint(b, uint64(c.who))
	}
	b = binary.AppendUvarint(b, c.read)
	b = binary.AppendUvarint(b, c.written)
	if c.skew != 0 {
		b = binary.AppendVarint(b, c.skew)
	}
	if c.task != "" {
		b = appendText(b, c.task)
	}
	if c.id != "" {
		b = appendText(b, c.id)
	}
	return b
}

// parseCommit reads a record that fills b.
func parseCommit(b []byte) (c commit, err error) {
	d := decoder{rest: b}
	flags := d.byte()
	if flags&commitSmall != 0 {
		c = commit{who: uint32(d.byte()), read: uint64(flags >> 4 & smallRead), written: uint64(flags & smallWritten)}
		if d.failed || len(d.rest) > 0 || c.who == 0 {
			return commit{}, errCommit
		}
		return c, nil
	}
	if flags&^commitFlags != 0 {
		return commit{}, errCommit
	}
	if flags&commitInline != 0 {
		c.user, c.program, c.name = d.text(), d.text(), d.text()
	} else {
		c.who = uint32(d.limited(maxWho))
	}
	c.read, c.written = d.uvarint(), d.uvarint()
	if flags&commitSkew != 0 {
		c.skew = d.varint()
	}
	if flags&commitTask != 0 {
		c.task = d.text()
	}
	if flags&commitID != 0 {
		c.id = d.text()
	}
	c.traced = flags&commitTraced != 0
	if d.failed || len(d.rest) > 0 || flags&commitInline == 0 && c.who == 0 {
		return commit{}, errCommit
	}
	return c, nil
}

// external is how the seam shows it. Keys are not in the record.
func (c *commit) external(v version, who *whoTable) (engine.Commit, error) {
	user, program, name := c.user, c.program, c.name
	if c.who != 0 {
		var ok bool
		if user, program, name, ok = who.lookup(c.who); !ok {
			return engine.Commit{}, corrupt("commit "+v.String(), errWho)
		}
	}
	id := c.id
	if id == "" {
		id = chosenID(v)
	}
	return engine.Commit{
		Version: v.external(),
		Time:    time.UnixMicro(v.micros() + c.skew),
		Op: engine.Op{
			ID: id, User: user, Program: program, Task: c.task, Name: name, Trace: c.traced,
		},
		RowsRead:    int(min(c.read, 1<<62)),
		RowsWritten: int(min(c.written, 1<<62)),
	}, nil
}

// chosenID is the ID of an operation that came without one.
func chosenID(v version) string { return chosenPrefix + v.String() }

const chosenPrefix = "tx-"

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}
