package table

import (
	"strings"
	"testing"
	"time"
)

// TestDeclarationErrors sees that what is wrong with a declaration is told, by
// the name of the field.
func TestDeclarationErrors(t *testing.T) {
	type plain struct {
		ID   uint64 `table:"key"`
		Name string
	}
	type other struct {
		Name string `table:"key"`
	}
	named := Declare[other]("named")
	for _, c := range []struct {
		table Declared
		want  string
	}{
		{Declare[int]("x"), "int is not a struct"},
		{Declare[plain]("Bad Name"), "is not a name for a table"},
		{Declare[struct{ ID uint64 }]("x"), "no column of the key"},
		{Declare[struct {
			ID *uint64 `table:"key"`
		}]("x"), "field ID: its type is *uint64: for a value that can be null use sql.Null[uint64]"},
		{Declare[struct {
			Z complex64
		}]("x"), "field Z: its type is complex64, which is not that of any column; keep it as JSON"},
		{Declare[struct {
			F float32
		}]("x"), "field F"},
		{Declare[struct {
			hidden int
		}]("x"), "field hidden: it is not exported"},
		{Declare[struct {
			ID uint64 `table:"kee"`
		}]("x"), `field ID: its tag has "kee"`},
		{Declare[struct {
			ID uint64 `table:"key"`
			At string `table:"desc"`
		}]("x"), "field At: desc in a tag is for columns of the key"},
		{Declare[struct {
			ID uint64 `table:"key"`
			N  int8   `table:"default=1000"`
		}]("x"), "field N: its default"},
		{Declare[struct {
			ID string `table:"key,auto"`
		}]("x"), "column id: auto is for int64 and uint64, not for string"},
		{Declare[struct {
			ID uint64         `table:"key"`
			M  map[string]int `table:"json,key"`
		}]("x"), "column m: a json cannot be part of a key"},
		{indexed(func(t *Table[plain]) { t.Index("i", "colour") }), "index i: there is no column colour"},
		{indexed(func(t *Table[plain]) { t.Index("i", "name").Where("name > 5 or") }), "index i: expected a column"},
		{indexed(func(t *Table[plain]) { t.Check("c", "id") }), "check c: id is not a condition"},
		{indexed(func(t *Table[plain]) { t.Index("i", "name"); t.Index("i", "id") }), "index i"},
		{indexed(func(t *Table[plain]) { t.Refer("r", named, "name") }), "reference r: add an index that begins with (name), by which a deletion in named finds the rows"},
	} {
		_, err := c.table.declared().definition()
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v\nwant %s", err, c.want)
		}
	}
}

func indexed[T any](fn func(*Table[T])) *Table[T] {
	t := Declare[T]("x")
	fn(t)
	return t
}

func TestSnake(t *testing.T) {
	for in, want := range map[string]string{"ID": "id", "ParentID": "parent_id", "HTTPPort": "http_port", "A": "a", "Size64": "size64", "X_Y": "x_y"} {
		if got := snake(in); got != want {
			t.Errorf("%s is %s, want %s", in, got, want)
		}
	}
}

func TestNew(t *testing.T) {
	type row struct {
		ID    uint64        `table:"key"`
		Mode  uint32        `table:"default=420"`
		Label string        `table:"default='a,''b'''"`
		Wait  time.Duration `table:"default='1m'"`
	}
	got := Declare[row]("x").New()
	if got != (row{Mode: 420, Label: "a,'b'", Wait: time.Minute}) {
		t.Errorf("%+v", got)
	}
}
