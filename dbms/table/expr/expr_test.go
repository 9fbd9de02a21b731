package expr

import (
	"strings"
	"testing"

	"github.com/tuplix/tuplix/dbms/table/value"
)

var columns = map[string]Ref{
	"size": {0, value.Int64}, "kind": {1, value.String}, "hidden": {2, value.Bool}, "born": {3, value.Time}, "price": {4, value.Decimal},
}

func lookup(name string) (Ref, bool) { r, ok := columns[name]; return r, ok }

func row(values ...any) func(int) value.Value {
	return func(i int) value.Value {
		v, err := value.Of(values[i])
		if err != nil {
			panic(err)
		}
		if v, err = value.Convert(v, []value.Type{value.Int64, value.String, value.Bool, value.Time, value.Decimal}[i]); err != nil {
			panic(err)
		}
		return v
	}
}

func TestEval(t *testing.T) {
	values := row(5, "it's", nil, "2026-05-01", "1.50")
	for text, want := range map[string]Truth{
		"size = 5": True, "5 = size": True, "size <> 5": False, "size != 4": True, "SIZE >= 5 AND size <= 5": True, "size > 5.0": False,
		"kind = 'it''s'": True, "kind < 'a'": False, "hidden": Unknown, "not hidden": Unknown, "hidden is null": True,
		"hidden and size = 4": False, "hidden or size = 5": True, "hidden is not null": False, "born > '2026-04-30'": True,
		"price = 1.5": True, "price >= 1.500000001": False, "not (size = 5 and kind = 'x')": True, "true": True,
		"size = 4 or size = 5 and kind = 'x'": False, "(size = 4 or size = 5) and kind <> 'x'": True, "-1 < size": True,
	} {
		n, err := Parse(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		c, err := Bind(n, lookup)
		if err != nil {
			t.Errorf("%s: %v", text, err)
		} else if got := c.Eval(values); got != want {
			t.Errorf("%s is %d, want %d", text, got, want)
		}
	}
}

func TestErrors(t *testing.T) {
	for text, want := range map[string]string{
		"": "expected a column", "size =": "expected a column", "size = 5 5": "expected the end", "(size = 5": "expected )",
		"size ~ 5": "cannot be read", "size is 5": "expected null", "colour = 5": "no column colour", "size = 'x'": "not a value of type int64",
		"size": "not a condition", "size and hidden": "not a condition", "size = kind": "not of one type", "size = 1.5": "not a value",
		"kind = 'x": "cannot be read", strings.Repeat("(", 100): "too deeply", strings.Repeat("x", 5000): "at most",
	} {
		n, err := Parse(text)
		if err == nil {
			_, err = Bind(n, lookup)
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

func TestRename(t *testing.T) {
	n, err := Parse("not (size > 0 or kind = 'size') and size is not null")
	if err != nil {
		t.Fatal(err)
	}
	if got := n.Rename("size", "length").String(); got != "not (length > 0 or kind = 'size') and length is not null" {
		t.Error(got)
	}
	if got := strings.Join(n.Columns(), " "); got != "kind size" {
		t.Error(got)
	}
}

// FuzzParse sees that what parses is printed as something that parses to the
// same, and that bound expressions evaluate.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"size >= 0 and (kind = 'file' or born is not null) and not hidden", "price = -1.5e3", "kind = x'00ff'", "not not (true or false)"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, err := Parse(s)
		if err != nil {
			return
		}
		text := n.String()
		again, err := Parse(text)
		if err != nil || again.String() != text {
			t.Fatalf("%q is printed as %q, and that as %v, %v", s, text, again, err)
		}
		if c, err := Bind(n, lookup); err == nil {
			c.Eval(row(1, "a", true, "2026-01-01", "1"))
		}
	})
}
