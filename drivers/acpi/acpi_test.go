package acpi

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// dump loads the tables of a machine, taken from QEMU 7.2.
func dump(t testing.TB, machine string) *Tables {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", machine, "*.bin"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no tables of %s: %v", machine, err)
	}
	tables := &Tables{}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if sum(b) != 0 {
			t.Fatalf("%s: wrong checksum", f)
		}
		tables.Add(b)
	}
	return tables
}

func TestQ35(t *testing.T) {
	tables := dump(t, "q35")
	ns := tables.Namespace()
	if ns.Skipped() != 0 {
		t.Errorf("%d scopes were not understood", ns.Skipped())
	}
	want := []ConfigSpace{{Base: 0xb0000000, First: 0, Last: 255}}
	if got := tables.ConfigSpaces(); !reflect.DeepEqual(got, want) {
		t.Errorf("configuration space %+v", got)
	}
	pm1 := Register{IO, 2, 0x604}
	checkPower(t, tables, ns, Action{{pm1, 0}, {pm1, 1 << 13}}, Action{{Register{IO, 1, 0xcf9}, 0xf}})
	f, err := tables.FADT()
	if err != nil || f.Timer != (Register{IO, 4, 0x608}) || f.HardwareReduced || f.Century != 0x32 {
		t.Errorf("FADT %+v, %v", f, err)
	}
	serial := ns.FindDevices("PNP0501")
	if !slices.Equal(serial, []string{`\_SB_.PCI0.SF8_.COM1`}) {
		t.Fatalf("serial ports %q", serial)
	}
	r, err := ns.Resources(serial[0])
	if err != nil || !reflect.DeepEqual(r, Resources{Ports: []Range{{0x3f8, 8}}, Interrupts: []Interrupt{{GSI: 4}}}) {
		t.Errorf("serial port: %+v, %v", r, err)
	}
}

func TestMicroVM(t *testing.T) {
	tables := dump(t, "microvm")
	ns := tables.Namespace()
	if ns.Skipped() != 0 || tables.ConfigSpaces() != nil {
		t.Errorf("%d scopes were not understood, configuration space %v", ns.Skipped(), tables.ConfigSpaces())
	}
	checkPower(t, tables, ns,
		Action{{Register{Memory, 1, 0xfea00200}, 5<<2 | 1<<5}}, Action{{Register{Memory, 1, 0xfea00202}, 0x42}})
	devices := ns.FindDevices(VirtioMMIO)
	if len(devices) != 3 {
		t.Fatalf("virtio devices %q", devices)
	}
	r, err := ns.Resources(devices[0])
	want := Resources{Memory: []Range{{0xfeb02e00, 512}}, Interrupts: []Interrupt{{47, true, false}}}
	if err != nil || !reflect.DeepEqual(r, want) {
		t.Errorf("%s: %+v, %v", devices[0], r, err)
	}
}

func checkPower(t *testing.T, tables *Tables, ns *Namespace, off, reset Action) {
	t.Helper()
	if got, err := tables.PowerOff(ns); err != nil || !reflect.DeepEqual(got, off) {
		t.Errorf("power off by %v, %v", got, err)
	}
	if got, err := tables.Reset(); err != nil || !reflect.DeepEqual(got, reset) {
		t.Errorf("reset by %v, %v", got, err)
	}
}

type recorder Action

func (r *recorder) WriteRegister(x Register, v uint32) { *r = append(*r, Write{x, v}) }

func TestPM1b(t *testing.T) {
	tables := dump(t, "q35")
	fadt := slices.Clone(tables.Find("FACP"))
	binary.LittleEndian.PutUint32(fadt[fadtPM1b:], 0x700)
	two := &Tables{}
	two.Add(fadt)
	ns := &Namespace{values: map[string]any{softOff: []any{uint64(3), uint64(4)}}}
	a, err := two.PowerOff(ns)
	if err != nil {
		t.Fatal(err)
	}
	var got recorder
	a.Do(&got)
	pm1a, pm1b := Register{IO, 2, 0x604}, Register{IO, 2, 0x700}
	want := recorder{{pm1a, 3 << 10}, {pm1b, 4 << 10}, {pm1a, 3<<10 | 1<<13}, {pm1b, 4<<10 | 1<<13}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%v", got)
	}
}

func TestNoPower(t *testing.T) {
	q35 := dump(t, "q35")
	for name, values := range map[string]map[string]any{
		"no S5":    {},
		"empty S5": {softOff: []any{}},
		"text":     {softOff: []any{"x"}},
		"too big":  {softOff: []any{uint64(8)}},
	} {
		if a, err := q35.PowerOff(&Namespace{values: values}); err == nil {
			t.Errorf("%s: %v", name, a)
		}
	}
	if _, err := (&Tables{}).Reset(); err == nil {
		t.Error("reset without FADT")
	}
}

// image lays tables out in memory as firmware does.
type image struct {
	b    []byte
	base uint64
}

func (m *image) read(phys uint64, n int) []byte {
	if phys < m.base || phys-m.base > uint64(len(m.b)) || n < 0 {
		return nil
	}
	rest := m.b[phys-m.base:]
	return rest[:min(n, len(rest))]
}

func (m *image) add(b []byte) (phys uint64) {
	phys = m.base + uint64(len(m.b))
	m.b = append(m.b, b...)
	return phys
}

func table(signature string, body []byte) []byte {
	b := make([]byte, headerSize, headerSize+len(body))
	copy(b, signature)
	b = append(b, body...)
	binary.LittleEndian.PutUint32(b[4:], uint32(len(b)))
	b[9] -= sum(b)
	return b
}

// machine builds the memory of a q35, with an RSDT or an XSDT.
func machine(t testing.TB, extended bool) (m *image, rsdp uint64) {
	m = &image{base: 0x1000}
	q35 := dump(t, "q35")
	dsdt := m.add(q35.Find("DSDT"))
	fadt := slices.Clone(q35.Find("FACP"))
	binary.LittleEndian.PutUint32(fadt[fadtDSDT:], uint32(dsdt))
	binary.LittleEndian.PutUint64(fadt[fadtXDSDT:], dsdt)
	fadt[9] -= sum(fadt)
	addresses := []uint64{m.add(fadt), m.add(q35.Find("MCFG")), 0xdead0000}
	var list []byte
	for _, a := range addresses {
		if extended {
			list = binary.LittleEndian.AppendUint64(list, a)
		} else {
			list = binary.LittleEndian.AppendUint32(list, uint32(a))
		}
	}
	root := m.add(table("XSDT", list))
	p := make([]byte, rsdpSize2)
	copy(p, "RSD PTR ")
	binary.LittleEndian.PutUint32(p[16:], uint32(root))
	if extended {
		p[15] = 2
		binary.LittleEndian.PutUint64(p[24:], root)
	}
	p[8] -= sum(p[:rsdpSize1])
	p[32] -= sum(p)
	return m, m.add(p)
}

func TestLoad(t *testing.T) {
	for _, extended := range []bool{false, true} {
		m, rsdp := machine(t, extended)
		tables, err := Load(m.read, rsdp)
		if tables == nil || len(tables.ConfigSpaces()) != 1 || len(tables.Namespace().Devices()) == 0 {
			t.Fatalf("extended %v: %v, %v", extended, tables, err)
		}
		if err == nil || !strings.Contains(err.Error(), "0xdead0000") {
			t.Errorf("table outside memory: %v", err)
		}
	}
	if _, err := Load((&image{}).read, 0); err == nil {
		t.Error("no error without a root pointer")
	}
}

// FuzzLoad changes one place of the memory that the tables are in.
func FuzzLoad(f *testing.F) {
	m, rsdp := machine(f, true)
	f.Add(0, []byte("x"), false)
	f.Add(len(m.b)-20, []byte{0, 0x10}, true)
	f.Fuzz(func(t *testing.T, at int, b []byte, fix bool) {
		c := &image{slices.Clone(m.b), m.base}
		if at < 0 || at >= len(c.b) {
			return
		}
		copy(c.b[at:], b)
		if fix {
			p := c.b[rsdp-c.base:]
			p[8] -= sum(p[:rsdpSize1])
			p[32] -= sum(p)
		}
		tables, _ := Load(c.read, rsdp)
		if tables != nil {
			exercise(tables)
		}
	})
}

// exercise asks everything of some tables.
func exercise(t *Tables) {
	ns := t.Namespace()
	t.ConfigSpaces()
	t.PowerOff(ns)
	t.Reset()
	for _, d := range ns.Devices() {
		ns.HardwareID(d)
		ns.Resources(d)
	}
}

func FuzzTables(f *testing.F) {
	for _, machine := range []string{"q35", "microvm"} {
		tables := dump(f, machine)
		f.Add(tables.Find("FACP")[headerSize:], tables.Find("DSDT")[headerSize:], []byte{})
	}
	f.Fuzz(func(t *testing.T, fadt, dsdt, mcfg []byte) {
		tables := &Tables{}
		tables.Add(table("FACP", fadt))
		tables.Add(table("DSDT", dsdt))
		tables.Add(table("MCFG", mcfg))
		exercise(tables)
	})
}
