package image

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// Go initialises packages in an order that the linker computes: among the
// packages whose imports are all initialised, the one whose path sorts first
// comes next. The system's packages are not imported by the application, so an
// application (or a library of it) that sorts before github.com/tuplix could
// open files in its init functions before there is a file service. The edit
// here moves the system's packages, together with everything they import, to
// the front, keeping both halves in the linker's order. The front half is
// closed under imports, so the result is again an order in which each package
// follows those it imports.
//
// The table is the linker's symbol go:main.inittasks: an array of pointers to
// records named PATH..inittask (cmd/link/internal/ld/inittask.go). Packages
// with nothing to initialise have no entry.
const (
	tasksSymbol = "go:main.inittasks"
	taskSuffix  = "..inittask"
	pointerSize = 8
)

// systemFirst reorders the initialisation table so that the packages in
// closure come first. The closure must contain every package that one of its
// members imports.
func (l *linked) systemFirst(closure map[string]bool) error {
	table, ok := l.symbols[tasksSymbol]
	if !ok {
		return fmt.Errorf("image: no symbol %s: this Go release keeps package initialisation elsewhere", tasksSymbol)
	}
	if table.Size%pointerSize != 0 {
		return fmt.Errorf("image: %s has odd size %d", tasksSymbol, table.Size)
	}
	off, err := l.offset(table.Value, table.Size)
	if err != nil {
		return err
	}
	slots := l.data[off : off+table.Size]
	names := l.taskNames()
	var first, rest []uint64
	for i := 0; i < len(slots); i += pointerSize {
		addr := binary.LittleEndian.Uint64(slots[i:])
		name, ok := names[addr]
		if !ok {
			return fmt.Errorf("image: %s points at %#x, which is no package's initialisation record", tasksSymbol, addr)
		}
		if closure[name] {
			first = append(first, addr)
		} else {
			rest = append(rest, addr)
		}
	}
	for i, addr := range append(first, rest...) {
		binary.LittleEndian.PutUint64(slots[i*pointerSize:], addr)
	}
	return nil
}

// taskNames maps the address of each initialisation record to the import path
// of its package.
func (l *linked) taskNames() map[uint64]string {
	names := make(map[uint64]string)
	for name, s := range l.symbols {
		if path, ok := strings.CutSuffix(name, taskSuffix); ok {
			names[s.Value] = unescapePath(path)
		}
	}
	return names
}

// unescapePath undoes the escaping of import paths in symbol names: %xx in
// lower-case hexadecimal for control characters, bytes from 0x7f up, quotes,
// percent signs, and dots after the last slash (cmd/internal/objabi/path.go).
func unescapePath(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			hi, lo := unhex(s[i+1]), unhex(s[i+2])
			if hi >= 0 && lo >= 0 {
				b.WriteByte(byte(hi<<4 | lo))
				i += 2
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

func unhex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	}
	return -1
}
