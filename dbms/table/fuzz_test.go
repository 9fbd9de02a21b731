package table

import (
	"bytes"
	"encoding/binary"
	"testing"
	"unsafe"
)

// FuzzRow decodes keys and values that may be garbage, as a struct and as Values.
// What decodes must be the same both ways, and be encoded again to what decodes
// to the same.
func FuzzRow(f *testing.F) {
	def, err := everythings.Definition()
	if err != nil {
		f.Fatal(err)
	}
	s := newSchema(100, 5, def)
	s.all[8].added = 4                      // older rows do not have it
	s.all[9].dropped, s.all[9].keyed = 5, 0 // nor newer ones this
	s.all = append(s.all, column{ColumnDef: s.all[9].ColumnDef, id: 100, added: 5})
	s.all[9].Name = "dropped"
	if err := s.prepare(); err != nil {
		f.Fatal(err)
	}
	typed, err := s.bindingOf(everythings.decl)
	if err != nil {
		f.Fatal(err)
	}
	row, e := example(), encoder{}
	k, err := typed.appendParts(nil, unsafe.Pointer(&row), typed.parts)
	if err != nil {
		f.Fatal(err)
	}
	v, err := e.encode(typed, unsafe.Pointer(&row))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(k, v)
	f.Add(k, append([]byte{4}, v[1:]...))
	f.Add(k, append([]byte{3}, v[1:]...))
	f.Fuzz(func(t *testing.T, k, v []byte) {
		var row everything
		values := make([]Value, len(s.cols))
		typedErr := typed.decode(unsafe.Pointer(&row), k, v, nil)
		err := s.dynamic.decode(dynamicRow(values), k, v, nil)
		if err != nil {
			if typedErr == nil {
				t.Fatalf("only the Values do not decode: %v", err)
			}
			return
		}
		var d encoder
		again, err := d.encode(s.dynamic, dynamicRow(values))
		if err != nil {
			t.Fatal(err)
		}
		if typedErr != nil {
			return // JSON that does not fit the struct
		}
		var e encoder
		same, err := e.encode(typed, unsafe.Pointer(&row))
		if err != nil || len(row.Raw) == 0 {
			return // JSON that is none
		}
		var back everything
		if err := typed.decode(unsafe.Pointer(&back), k, same, nil); err != nil {
			t.Fatal(err)
		}
		var f encoder
		if third, err := f.encode(typed, unsafe.Pointer(&back)); err != nil || !bytes.Equal(third, same) {
			t.Fatalf("% x became % x, %v", same, third, err)
		}
		if err := s.dynamic.decode(dynamicRow(values), k, again, nil); err != nil {
			t.Fatal(err)
		}
	})
}

// FuzzUvarint holds the reader of integers against that of encoding/binary.
func FuzzUvarint(f *testing.F) {
	for shift := range 64 {
		f.Add(append(binary.AppendUvarint(nil, 1<<shift), "what follows"...))
		f.Add(binary.AppendUvarint(nil, 1<<shift-1))
	}
	f.Add([]byte("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"))
	f.Add([]byte("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02  "))
	f.Add([]byte("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00  "))
	f.Fuzz(func(t *testing.T, b []byte) {
		want, size := binary.Uvarint(b)
		got, n := uvarint(b)
		if got != want || n != size {
			t.Errorf("% x: %d of %d bytes, should be %d of %d", b, got, n, want, size)
		}
	})
}
