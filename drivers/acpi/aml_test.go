package acpi

import (
	"reflect"
	"testing"
)

// block is a term with a length in front, as short as it can be.
func block(body ...byte) []byte {
	if n := len(body) + 1; n < 0x40 {
		return append([]byte{byte(n)}, body...)
	}
	n := len(body) + 2
	return append([]byte{0x40 | byte(n&0xf), byte(n >> 4)}, body...)
}

func concat(parts ...any) (b []byte) {
	for _, p := range parts {
		switch v := p.(type) {
		case int:
			b = append(b, byte(v))
		case string:
			b = append(b, v...)
		case []byte:
			b = append(b, v...)
		}
	}
	return b
}

func walk(aml []byte) *Namespace {
	t := &Tables{}
	t.Add(table("DSDT", aml))
	return t.Namespace()
}

func TestData(t *testing.T) {
	for name, c := range map[string]struct {
		aml  []byte
		want any
	}{
		"zero":        {[]byte{0}, uint64(0)},
		"one":         {[]byte{1}, uint64(1)},
		"ones":        {[]byte{0xff}, ^uint64(0)},
		"byte":        {[]byte{0x0a, 7}, uint64(7)},
		"word":        {[]byte{0x0b, 1, 2}, uint64(0x201)},
		"dword":       {[]byte{0x0c, 1, 2, 3, 4}, uint64(0x4030201)},
		"qword":       {[]byte{0x0e, 1, 0, 0, 0, 0, 0, 0, 0x80}, uint64(1<<63 | 1)},
		"string":      {concat(0x0d, "hello", 0), "hello"},
		"buffer":      {concat(0x11, block(0x0a, 3, 9, 8, 7)), []byte{9, 8, 7}},
		"package":     {concat(0x12, block(2, 1, 0x0a, 5)), []any{uint64(1), uint64(5)}},
		"short":       {concat(0x12, block(4, 1)), []any{uint64(1)}},
		"var package": {concat(0x13, block(0x0a, 1, 1)), []any{uint64(1)}},
		"reference":   {concat(`\`, 0x2e, "_SB_PCI0"), Reference(`\_SB_.PCI0`)},
		"relative":    {[]byte("ABCD"), Reference(`\ABCD`)},
	} {
		ns := walk(concat(opName, "NAME", c.aml))
		if got := ns.Value(`\NAME`); !reflect.DeepEqual(got, c.want) || ns.Skipped() != 0 {
			t.Errorf("%s: %#v", name, got)
		}
	}
}

// TestSkipping puts a name behind each kind of term that is passed over.
func TestSkipping(t *testing.T) {
	for name, term := range map[string][]byte{
		"method":     concat(opMethod, block([]byte("METH\x00\xa4\x01")...)),
		"if":         concat(opIf, block(concat(0x93, 0x68, 1, opName, "HIDE", 1)...)),
		"else":       concat(opIf, block(1), opElse, block(1)),
		"alias":      concat(opAlias, "AAAA", "BBBB"),
		"external":   concat(opExternal, `\`, "EXT_", 8, 1),
		"mutex":      concat(opExt, extMutex, "MUTX", 0),
		"event":      concat(opExt, extEvent, "EVNT"),
		"region":     concat(opExt, extRegion, "REGN", 0, 0x0b, 0, 6, 0x0a, 16, opExt, extField, block([]byte("REGN\x01ABCD\x08")...)),
		"processor":  concat(opExt, extProcessor, block([]byte("CPU0\x00\x00\x00\x00\x00\x00")...)),
		"power":      concat(opExt, extPower, block([]byte("POWR\x00\x00\x00")...)),
		"thermal":    concat(opExt, extThermal, block([]byte("THRM")...)),
		"long block": concat(opMethod, block(make([]byte, 300)...)),
		"bad scope":  concat(opScope, block(concat("SCOP", 0x70, 1, 2)...)),
	} {
		ns := walk(concat(term, opName, "NEXT", 1))
		if ns.Value(`\NEXT`) != uint64(1) || ns.Value(`\HIDE`) != nil {
			t.Errorf("%s: what follows was not found", name)
		}
	}
}

func TestScopes(t *testing.T) {
	device := concat(opExt, extDevice, block(concat("DEV0", opName, "_HID", 0x0c, 0x41, 0xd0, 0x05, 0x01, opName, "^UPPR", 1)...))
	ns := walk(concat(opScope, block(concat(`\_SB_`, device)...)))
	if got := ns.FindDevices("PNP0501"); len(got) != 1 || got[0] != `\_SB_.DEV0` {
		t.Errorf("%q", got)
	}
	if ns.Value(`\_SB_.UPPR`) != uint64(1) {
		t.Errorf("name of the parent: %v", ns.values)
	}
}

func TestTruncated(t *testing.T) {
	whole := concat(opScope, block(concat(`\_SB_`, opName, "ABCD", 0x12, block(2, 1, 0x0a, 5))...))
	for n := range whole {
		if ns := walk(whole[:n]); n > 0 && ns.Skipped() == 0 {
			t.Errorf("%d of %d bytes: nothing was found missing", n, len(whole))
		}
	}
}

func TestDepth(t *testing.T) {
	var b []byte
	for range 200 {
		b = concat(opScope, longBlock(concat("ABCD", b)))
	}
	if walk(b).Skipped() == 0 {
		t.Error("no limit of depth")
	}
	b = nil
	for range 200 {
		b = concat(0x12, longBlock(concat(1, b)))
	}
	walk(concat(opName, "DEEP", b))
}

// longBlock is a block with four bytes of length.
func longBlock(body []byte) []byte {
	n := len(body) + 4
	return append([]byte{0xc0 | byte(n&0xf), byte(n >> 4), byte(n >> 12), byte(n >> 20)}, body...)
}

func FuzzAML(f *testing.F) {
	f.Add(concat(opName, "NAME", 0x12, block(2, 1, 0x0a, 5)))
	for _, machine := range []string{"q35", "microvm"} {
		f.Add(dump(f, machine).Find("DSDT")[headerSize:])
	}
	f.Fuzz(func(t *testing.T, aml []byte) {
		t1 := &Tables{}
		t1.Add(table("DSDT", aml))
		exercise(t1)
	})
}
