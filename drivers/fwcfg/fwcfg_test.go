package fwcfg

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"
)

// model is the device as QEMU has it, with faults.
type model struct {
	t         *testing.T
	mem       []byte
	items     map[uint16][]byte
	item      uint16
	offset    int
	high      uint32
	signature string
	refuses   bool
	hangs     bool
	noMemory  bool
	writes    int
}

const modelPhys = 0x1_2345_6000

func (m *model) In32(port uint16) uint32 {
	switch port {
	case portHigh:
		return binary.LittleEndian.Uint32([]byte(m.signature[:4]))
	case portLow:
		return binary.LittleEndian.Uint32([]byte(m.signature[4:]))
	}
	m.t.Fatalf("read of port %#x", port)
	return 0
}

func (m *model) Out32(port uint16, v uint32) {
	m.writes++
	switch port {
	case portHigh:
		m.high = swap(v)
	case portLow:
		if at := uint64(m.high)<<32 | uint64(swap(v)); at != modelPhys {
			m.t.Fatalf("transfer at %#x", at)
		}
		m.transfer()
	default:
		m.t.Fatalf("write to port %#x", port)
	}
}

func (m *model) transfer() {
	be := binary.BigEndian
	control, n, at := be.Uint32(m.mem), int(be.Uint32(m.mem[4:])), be.Uint64(m.mem[8:])
	if m.hangs {
		return
	}
	if m.refuses || at < modelPhys+accessBytes || at+uint64(n) > modelPhys+memoryBytes {
		be.PutUint32(m.mem, controlError)
		return
	}
	if control&controlSelect != 0 {
		m.item, m.offset = uint16(control>>16), 0
	}
	to := m.mem[at-modelPhys:][:n]
	clear(to) // beyond the end there are zeros
	content := m.items[m.item]
	m.offset += copy(to, content[min(m.offset, len(content)):])
	be.PutUint32(m.mem, 0)
}

func (m *model) AllocDMA(n int) ([]byte, uint64, error) {
	if m.noMemory {
		return nil, 0, errors.New("no memory")
	}
	m.mem = make([]byte, n)
	return m.mem, modelPhys, nil
}

// newModel has files beside others.
func newModel(t *testing.T, files map[string][]byte) *model {
	m := &model{t: t, signature: "QEMU CFG", items: map[uint16][]byte{}}
	dir := binary.BigEndian.AppendUint32(nil, uint32(len(files)+80))
	item := uint16(0x20)
	add := func(name string, content []byte) {
		m.items[item] = content
		e := make([]byte, entryBytes)
		binary.BigEndian.PutUint32(e, uint32(len(content)))
		binary.BigEndian.PutUint16(e[4:], item)
		copy(e[nameStart:], name)
		dir = append(dir, e...)
		item++
	}
	for range 80 { // the directory takes two transfers
		add("etc/something", []byte("else"))
	}
	for name, content := range files {
		add(name, content)
	}
	m.items[itemDirectory] = dir
	return m
}

func TestReadFile(t *testing.T) {
	big := bytes.Repeat([]byte("0123456789abcdef"), 1000)
	m := newModel(t, map[string][]byte{"opt/key": []byte("secret"), "opt/big": big, "opt/none": {}})
	d, err := Open(m)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][]byte{"opt/key": []byte("secret"), "opt/big": big, "opt/none": {}} {
		got, err := d.ReadFile(name, len(want))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %.20q, %v", name, got, err)
		}
	}
	if !bytes.Equal(m.mem, make([]byte, memoryBytes)) {
		t.Error("the shared memory is not wiped")
	}
	if _, err := d.ReadFile("opt/key", 5); err == nil {
		t.Error("a file above the limit")
	}
	if _, err := d.ReadFile("opt/ke", 100); !errors.Is(err, ErrNoFile) {
		t.Error(err)
	}
}

func TestAbsent(t *testing.T) {
	m := newModel(t, nil)
	m.signature = "\xff\xff\xff\xff\xff\xff\xff\xff"
	if _, err := Open(m); !errors.Is(err, ErrAbsent) || m.writes > 0 {
		t.Errorf("%v, %d writes", err, m.writes)
	}
	m = newModel(t, nil)
	m.noMemory = true
	if _, err := Open(m); err == nil || errors.Is(err, ErrAbsent) {
		t.Error(err)
	}
}

func TestBadDevice(t *testing.T) {
	for name, spoil := range map[string]func(*model){
		"refuses":    func(m *model) { m.refuses = true },
		"hangs":      func(m *model) { m.hangs = true },
		"many files": func(m *model) { m.items[itemDirectory] = []byte{0xff, 0, 0, 0} },
	} {
		m := newModel(t, map[string][]byte{"opt/key": []byte("secret")})
		spoil(m)
		d, err := Open(m)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := d.ReadFile("opt/key", 100); !errors.Is(err, ErrDevice) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzDirectory(f *testing.F) {
	f.Add(newModel(nil, map[string][]byte{"opt/key": []byte("secret")}).items[itemDirectory], "opt/key")
	f.Add([]byte{0, 0, 0, 1}, "")
	f.Fuzz(func(t *testing.T, directory []byte, name string) {
		m := newModel(t, nil)
		m.items[itemDirectory] = directory
		d, err := Open(m)
		if err != nil {
			t.Fatal(err)
		}
		p, err := d.ReadFile(name, 100)
		if len(p) > 100 || err == nil && !bytes.Contains(directory, []byte(name)) {
			t.Errorf("%q, %v", p, err)
		}
	})
}
