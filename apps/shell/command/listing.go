package command

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
	"unicode/utf8"
)

// How many characters of a value a listing shows people, and of one that nothing
// stands behind; JSON has all of it.
const (
	widestCell = 60
	widestLast = 160
)

// Listing prints rows under a heading, in columns that are aligned at the end, or
// each as one line of JSON as it comes.
type Listing struct {
	columns []string
	json    bool
	out     io.Writer
	tab     *tabwriter.Writer
	rows    int
}

// List starts a listing. The names of columns are those of the JSON.
func (c *Call) List(json bool, columns ...string) *Listing {
	return &Listing{columns: columns, json: json, out: c.Out, tab: tabwriter.NewWriter(c.Out, 0, 0, 2, ' ', 0)}
}

// Row prints values, one for each column. Nil and zero times are shown as "-".
func (l *Listing) Row(values ...any) error {
	l.rows++
	if l.json {
		return JSONLine(l.out, l.columns, values)
	}
	if l.rows == 1 {
		l.line(l.columns)
	}
	cells := make([]string, len(values))
	for i, v := range values {
		cells[i] = Cell(v)
	}
	if last := len(values) - 1; last >= 0 {
		cells[last] = cell(values[last], widestLast)
	}
	l.line(cells)
	return nil
}

// line writes to memory: errors show when it is flushed.
func (l *Listing) line(cells []string) {
	fmt.Fprintln(l.tab, strings.TrimRight(strings.Join(cells, "\t"), " "))
}

// Len returns how many rows there were.
func (l *Listing) Len() int { return l.rows }

// End prints what is left.
func (l *Listing) End() error { return l.tab.Flush() }

// Moment shows a time to people.
func Moment(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format("2006-01-02 15:04:05")
}

// Cell shows a value in a column: short, and on one line.
func Cell(v any) string { return cell(v, widestCell) }

func cell(v any, widest int) string {
	text := ""
	switch v := v.(type) {
	case nil:
	case time.Time:
		text = Moment(v)
	case []byte:
		text = Shown(string(v))
	case json.RawMessage:
		text = Shown(string(v))
	default:
		text = Shown(fmt.Sprint(v))
	}
	if text == "" {
		return "-"
	}
	if utf8.RuneCountInString(text) > widest {
		text = string([]rune(text)[:widest-1]) + "…"
	}
	return text
}

// Shown returns text as a terminal can show it: what is not printable is quoted,
// so that no stored text can give orders to the terminal.
func Shown(text string) string {
	if strings.IndexFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) < 0 && utf8.ValidString(text) {
		return text
	}
	quoted := fmt.Sprintf("%q", text)
	return quoted[1 : len(quoted)-1]
}

// JSONLine writes an object in the order of the names, on one line.
func JSONLine(w io.Writer, names []string, values []any) error {
	var b bytes.Buffer
	separator := byte('{')
	for i, name := range names {
		b.WriteByte(separator)
		separator = ','
		if err := marshal(&b, name); err != nil {
			return err
		}
		b.WriteByte(':')
		if err := marshal(&b, plain(values[i])); err != nil {
			return err
		}
	}
	b.WriteString("}\n")
	_, err := w.Write(b.Bytes())
	return err
}

// plain is a value as JSON shows it best. A kind of number that has a String for
// people stays a number.
func plain(v any) any {
	if r := reflect.ValueOf(v); r.IsValid() && r.CanFloat() {
		v = r.Float()
	}
	switch v := v.(type) {
	case time.Time:
		if v.IsZero() {
			return nil
		}
		return v.UTC()
	case json.RawMessage:
		if !json.Valid(v) {
			return string(v)
		}
	case float64:
		if v-v != 0 { // NaN and infinities, for which JSON has no words
			return fmt.Sprint(v)
		}
	case []byte:
		if utf8.Valid(v) {
			return string(v)
		}
	case fmt.Stringer:
		return v.String()
	}
	return v
}

// marshal adds the JSON of a value to b, without the newline of an Encoder.
func marshal(b *bytes.Buffer, v any) error {
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return err
	}
	b.Truncate(b.Len() - 1)
	return nil
}
