package table

import (
	"encoding/binary"
	"errors"
	"math"
	"math/bits"
	"unsafe"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/table/value"
)

// The value of a row holds the columns that are not in its key, in the order of
// their ids:
//
//	version   uvarint   of the schema under which it was written
//	nulls     a bit for each nullable column, in the same order, from the lowest
//	          of the first byte; set: the column is null and has no other bytes
//	tail      uvarint   size of the last part
//	columns   bool: 1 byte
//	          unsigned integers: uvarint; signed ones and durations: the same, of
//	          zigzag (0, -1, 1, -2 ... become 0, 1, 2, 3 ...)
//	          float64: its bits; times: microseconds; 8 bytes, little endian
//	          UUID: 16 bytes
//	          text, and decimals as in keys: uvarint, its size in the tail
//	texts     one after another
//
// Integers are little-endian groups of 7 bits (uvarint), as in encoding/binary.
// Which columns a version of the schema has, the catalog knows: those added not
// after it, and not dropped at it or before.

// plan is how rows of one version of the schema are read.
type plan struct {
	version uint64
	nulls   int // bytes
	ops     []op
	missing []filling
	was     *plan // reads the same columns as Values of the types that they had, if some had others
}

// op is a column of the row.
type op struct {
	slot  slot // formSkip if the column has been dropped since
	class class
	plain bool // an integer of 64 bits or a uint32, never null: most columns of most tables
	col   int  // position, -1 if dropped
}

// filling is a column that the row does not have yet.
type filling struct {
	col   int
	value Value
}

type class uint8

const (
	classByte class = iota
	classUint
	classInt
	classFixed
	classUUID
	classText
)

func classOf(t Type) class {
	switch {
	case t == value.Bool:
		return classByte
	case t.Unsigned():
		return classUint
	case t.Signed(), t == value.Duration:
		return classInt
	case t == value.Float64, t == value.Time:
		return classFixed
	case t == value.UUID:
		return classUUID
	}
	return classText
}

func (b *binding) makePlan(version uint32) *plan {
	p := &plan{version: uint64(version)}
	nullable, live, changed := 0, 0, false
	for i := range b.all {
		c := &b.all[i]
		col := -1
		if c.dropped == 0 {
			col = live
			live++
		}
		if c.keyed > 0 || c.dropped != 0 && c.dropped <= version {
			continue
		}
		if c.added > version {
			if col >= 0 {
				p.missing = append(p.missing, filling{col, c.fill()})
			}
			continue
		}
		typ, null := c.as(version)
		o := op{slot: slot{form: formSkip, typ: typ, nullable: null}, class: classOf(typ), col: col}
		switch {
		case col < 0:
		case null == c.Nullable && typ.SameForm(c.Type):
			o.slot = b.slots[col]
		default:
			changed = true
		}
		if null {
			nullable++
		}
		o.plain = !null && (o.class == classUint && (o.slot.form == formUint64 || o.slot.form == formUint32) ||
			o.class == classInt && o.slot.form == formInt64)
		p.ops = append(p.ops, o)
	}
	p.nulls = (nullable + 7) / 8
	if changed {
		p.was = p.asValues(b, version)
	}
	return p
}

// asValues is p for columns as they were: Values, one after another.
func (p *plan) asValues(b *binding, version uint32) *plan {
	was := &plan{version: p.version, nulls: p.nulls}
	for i, o := range p.ops {
		if o.col >= 0 {
			typ, null := b.cols[o.col].as(version)
			o.slot = slot{form: formValue, typ: typ, nullable: null, offset: uintptr(i) * unsafe.Sizeof(Value{})}
			o.plain = false
		}
		was.ops = append(was.ops, o)
	}
	return was
}

// decodeWidened decodes columns of which some had other types.
func (b *binding) decodeWidened(p *plan, row unsafe.Pointer, nulls, fixed, text []byte) error {
	values := make([]Value, len(p.ops))
	if err := p.was.decode(dynamicRow(values), nulls, fixed, text); err != nil {
		return err
	}
	for i, o := range p.ops {
		if o.col < 0 {
			continue
		}
		v, err := value.Widen(values[i], b.cols[o.col].Type)
		if err == nil {
			err = b.slots[o.col].set(row, v)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// planOf returns the plan of a version that is not the present one.
func (b *binding) planOf(version uint64) *plan {
	if version > uint64(b.version) || version == 0 {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.plans[version]
	if p == nil {
		p = b.makePlan(uint32(version))
		b.plans[version] = p
	}
	return p
}

// encoder keeps memory between rows.
type encoder struct{ fixed, tail, row []byte }

// encode makes the value of a row; the bytes are valid until the next call.
func (e *encoder) encode(b *binding, row unsafe.Pointer) ([]byte, error) {
	head, tail, err := e.parts(b, row)
	if err != nil {
		return nil, err
	}
	e.row = append(head, tail...)
	return e.row, nil
}

// parts is encode with the texts by themselves.
func (e *encoder) parts(b *binding, row unsafe.Pointer) (head, tail []byte, err error) {
	p := b.fresh
	e.fixed, e.tail = e.fixed[:0], e.tail[:0]
	e.row = binary.AppendUvarint(e.row[:0], p.version)
	for range p.nulls {
		e.row = append(e.row, 0)
	}
	nulls, bit := e.row[len(e.row)-p.nulls:], 0
	for i := range p.ops {
		o := &p.ops[i]
		if o.slot.nullable {
			bit++
			if o.slot.null(row) {
				nulls[(bit-1)/8] |= 1 << ((bit - 1) % 8)
				continue
			}
		}
		if err := e.column(o, row); err != nil {
			return nil, nil, b.columnError(o.col, err)
		}
	}
	e.row = binary.AppendUvarint(e.row, uint64(len(e.tail)))
	e.row = append(e.row, e.fixed...)
	return e.row, e.tail, nil
}

func (e *encoder) column(o *op, row unsafe.Pointer) error {
	switch o.class {
	case classByte:
		e.fixed = append(e.fixed, byte(o.slot.number(row)))
	case classUint:
		e.fixed = binary.AppendUvarint(e.fixed, o.slot.number(row))
	case classInt:
		n := int64(o.slot.number(row))
		e.fixed = binary.AppendUvarint(e.fixed, uint64(n<<1)^uint64(n>>63))
	case classFixed:
		if err := o.slot.check(row); err != nil {
			return err
		}
		e.fixed = binary.LittleEndian.AppendUint64(e.fixed, o.slot.number(row))
	case classUUID:
		u := o.slot.uuid(row)
		e.fixed = append(e.fixed, u[:]...)
	case classText:
		var scratch [64]byte
		text, err := o.slot.text(row, scratch[:])
		if err == nil {
			err = o.slot.check(row)
		}
		if err != nil {
			return err
		}
		e.fixed = binary.AppendUvarint(e.fixed, uint64(len(text)))
		e.tail = append(e.tail, text...)
	}
	return nil
}

var (
	errShort = errors.New("it ends too early")
	errRange = errors.New("a number is out of range")
)

// decode reads a row from its key, without the prefix, and its value. Texts go
// to memory of their own, or to mem if it is not nil.
func (b *binding) decode(row unsafe.Pointer, k, v []byte, mem *texts) error {
	p := b.fresh
	version, n := uvarint(v)
	if version != p.version {
		p = b.planOf(version)
	}
	if n <= 0 || p == nil || len(v) < n+p.nulls {
		return b.corruptRow(k, "unknown version of the schema")
	}
	nulls := v[n : n+p.nulls]
	v = v[n+p.nulls:]
	size, n := uvarint(v)
	if n <= 0 || size > uint64(len(v)-n) {
		return b.corruptRow(k, errShort.Error())
	}
	fixed, tail := v[n:len(v)-int(size)], v[len(v)-int(size):]
	text := tail[:len(tail):len(tail)]
	if mem != &inPlace {
		text = b.room(len(tail), k, mem)
		copy(text, tail)
	}
	err := b.decodeKey(row, k, text[len(tail):len(tail)])
	if err == nil {
		if text = text[:len(tail):len(tail)]; p.was == nil {
			err = p.decode(row, nulls, fixed, text)
		} else {
			err = b.decodeWidened(p, row, nulls, fixed, text)
		}
	}
	if err == nil && len(p.missing) > 0 {
		err = b.fill(p, row)
	}
	if err != nil {
		return b.corruptRow(k, err.Error())
	}
	return nil
}

// room returns memory for the texts of a row: n bytes, and capacity for those of
// its key.
func (b *binding) room(n int, k []byte, mem *texts) []byte {
	need := n
	if b.keyText {
		need += len(k)
	}
	switch {
	case need == 0:
		return nil
	case mem != nil:
		return mem.take(need)[:n]
	}
	return make([]byte, n, need)
}

// texts is memory for the texts of rows that follow each other: of all of them,
// which saves an allocation for most rows and has a text that is kept keep its
// neighbours' memory, or of the latest only.
type texts struct {
	free   []byte
	latest bool
}

// inPlace has texts stay where they are, but for those of the key.
var inPlace texts

const (
	textsSize = 1024 // bytes
	textsRow  = 256  // rows with more have memory of their own
)

// take returns n bytes.
func (t *texts) take(n int) []byte {
	switch {
	case n <= len(t.free) && n <= textsRow && !t.latest: // most often
	case t.latest:
		if len(t.free) < n {
			t.free = make([]byte, 2*n)
		}
		return t.free[:n:n]
	case n > textsRow:
		return make([]byte, n)
	case t.free == nil: // it may be the only row
		t.free = []byte{}
		return make([]byte, n)
	case len(t.free) < n:
		t.free = make([]byte, textsSize)
	}
	taken := t.free[:n:n]
	t.free = t.free[n:]
	return taken
}

func (b *binding) corruptRow(k []byte, what string) error {
	return corrupt("table "+b.name+", row "+b.keyName(k), what)
}

func (b *binding) fill(p *plan, row unsafe.Pointer) error {
	for _, m := range p.missing {
		if err := b.slots[m.col].set(row, m.value); err != nil {
			return err
		}
	}
	return nil
}

func (p *plan) decode(row unsafe.Pointer, nulls, fixed, text []byte) error {
	bit, at := 0, 0
	for i := range p.ops {
		o := &p.ops[i]
		if o.plain {
			u, n := uvarint(fixed[min(at, len(fixed)):])
			if n <= 0 {
				return errShort
			}
			at += n
			switch to := unsafe.Add(row, o.slot.offset); o.slot.form {
			case formInt64:
				*(*int64)(to) = int64(u>>1) ^ -int64(u&1)
			case formUint64:
				*(*uint64)(to) = u
			default:
				if u > math.MaxUint32 {
					return errRange
				}
				*(*uint32)(to) = uint32(u)
			}
			continue
		}
		if o.slot.nullable {
			null := nulls[bit/8]>>(bit%8)&1 != 0
			bit++
			o.slot.setNull(row, null)
			if null {
				continue
			}
		}
		var u uint64
		switch o.class {
		case classUint, classInt, classText:
			n := 0
			if u, n = uvarint(fixed[min(at, len(fixed)):]); n <= 0 {
				return errShort
			}
			at += n
		case classFixed:
			if len(fixed)-at < 8 {
				return errShort
			}
			u = binary.LittleEndian.Uint64(fixed[at:])
			at += 8
		case classByte:
			if at >= len(fixed) {
				return errShort
			}
			u = uint64(fixed[at])
			at++
		case classUUID:
			if len(fixed)-at < 16 {
				return errShort
			}
			o.slot.setUUID(row, [16]byte(fixed[at:]))
			at += 16
			continue
		}
		switch {
		case o.class == classInt:
			u = u>>1 ^ -(u & 1)
		case o.class == classText:
			if u > uint64(len(text)) {
				return errShort
			}
			if o.slot.form == formString {
				*(*string)(unsafe.Add(row, o.slot.offset)) = unsafe.String(unsafe.SliceData(text), int(u))
			} else if err := o.slot.setText(row, text[:u:u]); err != nil {
				return err
			}
			text = text[u:]
			continue
		}
		if o.slot.form == formUint64 || o.slot.form == formInt64 {
			*(*uint64)(unsafe.Add(row, o.slot.offset)) = u
		} else if !o.slot.setNumber(row, u) {
			return errRange
		}
	}
	if at != len(fixed) || len(text) != 0 {
		return errors.New("there are bytes that no column has")
	}
	return nil
}

// A row of the most columns, all of them empty, is no larger than a value.
const _ uint = engine.DefaultMaxValue - MaxColumns*(bits.UintSize/4+1)

// uvarint is binary.Uvarint with the usual case first.
func uvarint(b []byte) (uint64, int) {
	if len(b) > 0 && b[0] < 0x80 {
		return uint64(b[0]), 1
	}
	return longUvarint(b)
}

// longUvarint is binary.Uvarint for numbers of several bytes, such as times, without a
// step for each byte.
func longUvarint(b []byte) (uint64, int) {
	if len(b) < binary.MaxVarintLen64 {
		return binary.Uvarint(b)
	}
	x := binary.LittleEndian.Uint64(b)
	last := ^x & 0x8080808080808080 // the lowest of these bits is of the last byte
	if last != 0 {
		x &= last ^ (last - 1)
	}
	// Neighbours move together: groups of 7 bits, of 14, of 28.
	x = x&0x007f007f007f007f | x&0x7f007f007f007f00>>1
	x = x&0x00003fff00003fff | x&0x3fff00003fff0000>>2
	x = x&0x000000000fffffff | x&0x0fffffff00000000>>4
	switch {
	case last != 0:
		return x, bits.TrailingZeros64(last)/8 + 1
	case b[8] < 0x80:
		return x | uint64(b[8])<<56, 9
	case b[9] <= 1:
		return x | uint64(b[8]&0x7f)<<56 | uint64(b[9])<<63, 10
	}
	return binary.Uvarint(b) // it is too long
}
