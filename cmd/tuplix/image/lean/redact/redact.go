package redact

import (
	"fmt"
	"slices"
	"strings"
)

// The types of values that are no secret.
type (
	SafeString       string
	SafeInt          int64
	SafeUint         uint64
	SafeRune         rune
	RedactableString string
)

// SafeValue is a value that is no secret.
type SafeValue interface{ SafeValue() }

// SafeFormatter is a value that writes itself.
type SafeFormatter interface {
	SafeFormat(w SafePrinter, verb rune)
}

// SafeWriter is what text is written to.
type SafeWriter interface {
	SafeString(SafeString)
	SafeInt(SafeInt)
	SafeUint(SafeUint)
	SafeRune(SafeRune)
	Print(args ...any)
	Printf(format string, args ...any)
	UnsafeString(string)
}

// SafePrinter is a SafeWriter in the midst of formatting a value.
type SafePrinter interface {
	fmt.State
	SafeWriter
}

// SafeValue is of the interface of that name, as the next three are.
func (SafeString) SafeValue() {}

// SafeValue says that the number is no secret.
func (SafeInt) SafeValue() {}

// SafeValue says that the number is no secret.
func (SafeUint) SafeValue() {}

// SafeValue says that the character is no secret.
func (SafeRune) SafeValue() {}

// Safe returns a value to be formatted.
func Safe(v any) any { return v }

// StringWithoutMarkers is the text of a value.
func StringWithoutMarkers(f SafeFormatter) string {
	var p printer
	f.SafeFormat(&p, 'v')
	return p.String()
}

// Sprintf formats.
func Sprintf(format string, args ...any) RedactableString {
	var p printer
	p.Printf(format, args...)
	return RedactableString(p.String())
}

// StripMarkers returns the text.
func (s RedactableString) StripMarkers() string { return string(s) }

// printer collects text. Widths and flags of the verb are none.
type printer struct{ strings.Builder }

// Width is of fmt.State.
func (*printer) Width() (int, bool) { return 0, false }

// Precision is of fmt.State.
func (*printer) Precision() (int, bool) { return 0, false }

// Flag is of fmt.State.
func (*printer) Flag(int) bool { return false }

// SafeString writes a text, as the other methods write their values.
func (p *printer) SafeString(s SafeString) { p.WriteString(string(s)) }

// SafeInt writes a number.
func (p *printer) SafeInt(n SafeInt) { fmt.Fprint(p, int64(n)) }

// SafeUint writes a number.
func (p *printer) SafeUint(n SafeUint) { fmt.Fprint(p, uint64(n)) }

// SafeRune writes a character.
func (p *printer) SafeRune(r SafeRune) { p.WriteRune(rune(r)) }

// UnsafeString writes a text.
func (p *printer) UnsafeString(s string) { p.WriteString(s) }

// Print writes values as fmt.Print does.
func (p *printer) Print(args ...any) { fmt.Fprint(p, adapt(args)...) }

// Printf formats as fmt.Printf does.
func (p *printer) Printf(format string, args ...any) { fmt.Fprintf(p, format, adapt(args)...) }

// adapt has values that can write themselves do so.
func adapt(args []any) []any {
	own := false
	for i, a := range args {
		f, ok := a.(SafeFormatter)
		if !ok {
			continue
		}
		if !own {
			args, own = slices.Clone(args), true
		}
		args[i] = adapted{f}
	}
	return args
}

// adapted makes fmt call SafeFormat.
type adapted struct{ SafeFormatter }

// Format is of fmt.Formatter.
func (a adapted) Format(f fmt.State, verb rune) {
	var p printer
	a.SafeFormat(&p, verb)
	fmt.Fprintf(f, fmt.FormatString(f, 's'), p.String())
}
