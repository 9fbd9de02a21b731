package pc

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/iotest"
)

// line is a serial line with something typed ahead.
type line struct {
	io.Reader
	bytes.Buffer
}

func (l *line) Read(p []byte) (int, error) { return l.Reader.Read(p) }

func TestPrompt(t *testing.T) {
	for typed, want := range map[string]string{
		"secret\r":            "secret",
		"secret\nls\n":        "secret",
		"\r":                  "",
		"se\x7f\bcret\n":      "cret",
		"wrong\x15right\n":    "right",
		"\x7f\x7fa\n":         "a",
		"größe\x7f\x7f\x7f\n": "gr",
	} {
		for _, wrap := range []func(io.Reader) io.Reader{iotest.OneByteReader, func(r io.Reader) io.Reader { return r }} {
			l := &line{Reader: wrap(bytes.NewReader([]byte(typed)))}
			p := &prompt{port: l}
			got, err := p.secret("Passphrase: ")
			if err != nil || string(got) != want || l.String() != "Passphrase: \r\n" {
				t.Errorf("%q: %q, %v, shown %q", typed, got, err, l.String())
			}
			left, err := io.ReadAll(io.MultiReader(bytes.NewReader(p.rest), l.Reader))
			if typed == "secret\nls\n" && string(left) != "ls\n" || err != nil {
				t.Errorf("%q: %q is left, %v", typed, left, err)
			}
		}
	}
}

func TestPromptEnds(t *testing.T) {
	for typed, want := range map[string]error{"abc\x03": errGaveUp, "\x04": errGaveUp, "abc": io.EOF} {
		p := &prompt{port: &line{Reader: bytes.NewReader([]byte(typed))}}
		if got, err := p.secret("?"); !errors.Is(err, want) || got != nil {
			t.Errorf("%q: %q, %v", typed, got, err)
		}
	}
	p := &prompt{port: &line{Reader: bytes.NewReader(append(bytes.Repeat([]byte{'x'}, 2000), '\n'))}}
	if got, err := p.secret("?"); err != nil || len(got) != maxPrompt {
		t.Error(len(got), err)
	}
}
