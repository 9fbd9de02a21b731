package table

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"time"
	"unicode"
	"unsafe"

	"github.com/shopspring/decimal"

	"github.com/tuplix/tuplix/dbms/table/value"
)

// form is how a column lies in memory: in a field of a Go struct, or as a Value.
type form uint8

const (
	formBool form = iota
	formInt8
	formInt16
	formInt32
	formInt64
	formUint8
	formUint16
	formUint32
	formUint64
	formFloat64
	formString
	formBytes // []byte, json.RawMessage
	formTime
	formUUID // [16]byte
	formDecimal
	formJSON  // any Go type, by encoding/json
	formValue // a Value
	formSkip  // nowhere: the column has been dropped
)

// slot is where a column lies, from the start of the row.
type slot struct {
	form     form
	typ      Type
	nullable bool
	offset   uintptr
	valid    uintptr      // of sql.Null's Valid, if nullable and not formValue
	goType   reflect.Type // of formJSON
	nilMap   bool         // goType is a map without methods for JSON: nil is null
}

func (s *slot) null(row unsafe.Pointer) bool {
	if s.form == formValue {
		return (*Value)(unsafe.Add(row, s.offset)).IsNull()
	}
	return s.nullable && !*(*bool)(unsafe.Add(row, s.valid))
}

// setNull makes the column null, or says that it is not; what was there before
// is cleared.
func (s *slot) setNull(row unsafe.Pointer, null bool) {
	switch {
	case s.form == formSkip:
	case s.form == formValue:
		*(*Value)(unsafe.Add(row, s.offset)) = Value{}
	case s.nullable:
		*(*bool)(unsafe.Add(row, s.valid)) = !null
		if null {
			s.clear(unsafe.Add(row, s.offset))
		}
	}
}

var goTypes = [...]reflect.Type{reflect.TypeFor[bool](), reflect.TypeFor[int8](), reflect.TypeFor[int16](), reflect.TypeFor[int32](),
	reflect.TypeFor[int64](), reflect.TypeFor[uint8](), reflect.TypeFor[uint16](), reflect.TypeFor[uint32](), reflect.TypeFor[uint64](),
	reflect.TypeFor[float64](), reflect.TypeFor[string](), reflect.TypeFor[[]byte](), reflect.TypeFor[time.Time](),
	reflect.TypeFor[[16]byte](), reflect.TypeFor[decimal.Decimal]()}

func (s *slot) clear(p unsafe.Pointer) {
	t := s.goType
	if s.form != formJSON {
		t = goTypes[s.form]
	}
	reflect.NewAt(t, p).Elem().SetZero()
}

// field is a field of a Go struct that is a column.
type field struct {
	ColumnDef
	slot slot
	path string // in Go
	key  bool
	desc bool
}

// fieldsOf reads the fields of a struct. Every fault is told by fault.
func fieldsOf(t reflect.Type, fault func(path, why string)) []field {
	var out []field
	for i := range t.NumField() {
		f := t.Field(i)
		tag, tagged := f.Tag.Lookup("table")
		switch {
		case tag == "-":
		case f.Anonymous && !tagged && f.Type.Kind() == reflect.Struct:
			for _, inner := range fieldsOf(f.Type, func(path, why string) { fault(f.Name+"."+path, why) }) {
				inner.slot.offset += f.Offset
				inner.slot.valid += f.Offset
				inner.path = f.Name + "." + inner.path
				out = append(out, inner)
			}
		case !f.IsExported():
			fault(f.Name, "it is not exported, and so cannot be a column; mark it with `table:\"-\"`")
		default:
			c, err := fieldOf(f, tag)
			if err != nil {
				fault(f.Name, err.Error())
				continue
			}
			out = append(out, c)
		}
	}
	return out
}

func fieldOf(f reflect.StructField, tag string) (field, error) {
	c := field{path: f.Name, ColumnDef: ColumnDef{Name: snake(f.Name)}}
	asJSON, text := false, ""
	for option := range splitTag(tag) {
		name, arg, _ := strings.Cut(option, "=")
		switch strings.TrimSpace(name) {
		case "":
		case "key":
			c.key = true
		case "desc":
			c.desc = true
		case "auto":
			c.Auto = true
		case "json":
			asJSON = true
		case "name":
			c.Name = strings.TrimSpace(arg)
		case "default":
			text = arg
		default:
			return c, fmt.Errorf("its tag has %q; there are key, desc, auto, json, name=, default= and -", option)
		}
	}
	if c.desc && !c.key {
		return c, fmt.Errorf("desc in a tag is for columns of the key; in an index write \"%s desc\"", c.Name)
	}
	slot, err := slotOf(f.Type, asJSON)
	if err != nil {
		return c, err
	}
	slot.offset += f.Offset
	slot.valid += f.Offset
	c.slot, c.Type, c.Nullable = slot, slot.typ, slot.nullable
	if text != "" {
		if c.Default, err = parseDefault(text, c.Type); err != nil {
			return c, err
		}
	}
	return c, nil
}

// splitTag cuts a tag at commas, but not within quotes.
func splitTag(tag string) func(func(string) bool) {
	return func(yield func(string) bool) {
		quoted, start := false, 0
		for i := 0; i < len(tag); i++ {
			if tag[i] == '\'' {
				quoted = !quoted
			}
			if tag[i] == ',' && !quoted {
				if !yield(tag[start:i]) {
					return
				}
				start = i + 1
			}
		}
		yield(tag[start:])
	}
}

// slotOf finds how a Go type is a column.
func slotOf(t reflect.Type, asJSON bool) (slot, error) {
	if t.PkgPath() == "database/sql" && strings.HasPrefix(t.Name(), "Null[") {
		v, _ := t.FieldByName("V")
		valid, _ := t.FieldByName("Valid")
		s, err := slotOf(v.Type, asJSON)
		s.nullable, s.offset, s.valid = true, v.Offset, valid.Offset
		return s, err
	}
	if asJSON {
		return slot{form: formJSON, typ: value.JSON, goType: t, nilMap: t.Kind() == reflect.Map && reflect.PointerTo(t).NumMethod() == 0}, nil
	}
	switch t {
	case reflect.TypeFor[time.Time]():
		return slot{form: formTime, typ: value.Time}, nil
	case reflect.TypeFor[time.Duration]():
		return slot{form: formInt64, typ: value.Duration}, nil
	case reflect.TypeFor[decimal.Decimal]():
		return slot{form: formDecimal, typ: value.Decimal}, nil
	case reflect.TypeFor[json.RawMessage]():
		return slot{form: formBytes, typ: value.JSON}, nil
	case reflect.TypeFor[sql.NullString](), reflect.TypeFor[sql.NullInt64](), reflect.TypeFor[sql.NullTime]():
		return slot{}, fmt.Errorf("its type is %s: use sql.Null[T]", t)
	}
	return slotOfKind(t)
}

func slotOfKind(t reflect.Type) (slot, error) {
	switch k := t.Kind(); k {
	case reflect.Bool:
		return slot{form: formBool, typ: value.Bool}, nil
	case reflect.Int:
		return slot{form: formInt64, typ: value.Int64}, nil
	case reflect.Uint:
		return slot{form: formUint64, typ: value.Uint64}, nil
	case reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		n := k - reflect.Int8
		return slot{form: formInt8 + form(n), typ: value.Int8 + Type(n)}, nil
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		n := k - reflect.Uint8
		return slot{form: formUint8 + form(n), typ: value.Uint8 + Type(n)}, nil
	case reflect.Float64:
		return slot{form: formFloat64, typ: value.Float64}, nil
	case reflect.String:
		return slot{form: formString, typ: value.String}, nil
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return slot{form: formBytes, typ: value.Bytes}, nil
		}
	case reflect.Array:
		if t.Len() == 16 && t.Elem().Kind() == reflect.Uint8 {
			return slot{form: formUUID, typ: value.UUID}, nil
		}
	case reflect.Pointer:
		return slot{}, fmt.Errorf("its type is %s: for a value that can be null use sql.Null[%s]", t, t.Elem())
	}
	return slot{}, fmt.Errorf("its type is %s, which is not that of any column; keep it as JSON with `table:\"json\"`", t)
}

// snake writes a Go name as SQL does: ParentID is parent_id.
func snake(name string) string {
	var out []rune
	in := []rune(name)
	for i, c := range in {
		if unicode.IsUpper(c) && i > 0 && (!unicode.IsUpper(in[i-1]) || i+1 < len(in) && unicode.IsLower(in[i+1])) && in[i-1] != '_' {
			out = append(out, '_')
		}
		out = append(out, unicode.ToLower(c))
	}
	return string(out)
}
