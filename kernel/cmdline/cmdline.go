package cmdline

import (
	"errors"
	"fmt"
	"strings"
)

// Option is one NAME=VALUE of the system's own. A word without an equals sign
// has an empty value.
type Option struct {
	Name, Value string
}

// Line is a command line taken apart.
type Line struct {
	Options []Option // in order; a name may occur several times
	Env     []string // NAME=VALUE, in order
	Args    []string // the program's arguments, without its name
}

const (
	envPrefix = "env."
	argName   = "arg"
	endMark   = "--"
	emptyArg  = "%"
)

// Get returns the value of the last option of that name, and whether there is
// one.
func (l *Line) Get(name string) (value string, ok bool) {
	for i := len(l.Options) - 1; i >= 0; i-- {
		if l.Options[i].Name == name {
			return l.Options[i].Value, true
		}
	}
	return "", false
}

// All returns the values of all options of that name, in order.
func (l *Line) All(name string) []string {
	var values []string
	for _, o := range l.Options {
		if o.Name == name {
			values = append(values, o.Value)
		}
	}
	return values
}

// Set adds an option, which hides earlier ones of the same name from Get.
func (l *Line) Set(name, value string) {
	l.Options = append(l.Options, Option{name, value})
}

// Parse takes a command line apart. Words it cannot understand are left out,
// and the error, which joins one error per such word, names them.
func Parse(s string) (Line, error) {
	var l Line
	var errs []error
	onlyArgs := false
	for _, word := range strings.FieldsFunc(s, isSeparator) {
		var err error
		switch {
		case onlyArgs:
			err = l.addArg(word)
		case word == endMark:
			onlyArgs = true
		default:
			err = l.addWord(word)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("command line: %q: %w", word, err))
		}
	}
	return l, errors.Join(errs...)
}

// isSeparator reports whether r separates words: loaders differ in whether
// they end a line with a newline or a NUL.
func isSeparator(r rune) bool {
	return r == ' ' || r == '\t' || r == '\n' || r == '\r' || r == 0
}

func (l *Line) addArg(word string) error {
	if word == emptyArg {
		l.Args = append(l.Args, "")
		return nil
	}
	arg, err := unescape(word)
	if err == nil {
		l.Args = append(l.Args, arg)
	}
	return err
}

func (l *Line) addWord(word string) error {
	rawName, rawValue, _ := strings.Cut(word, "=")
	name, err := unescape(rawName)
	if err != nil {
		return err
	}
	value, err := unescape(rawValue)
	if err != nil {
		return err
	}
	key, isEnv := strings.CutPrefix(name, envPrefix)
	switch {
	case isEnv && (key == "" || strings.Contains(key, "=")):
		return errors.New("not a name for an environment variable")
	case isEnv:
		l.Env = append(l.Env, key+"="+value)
	case name == argName:
		l.Args = append(l.Args, value)
	case name == "":
		return errors.New("a value without a name")
	default:
		l.Set(name, value)
	}
	return nil
}

// unescape replaces each %XX by the byte it stands for.
func unescape(s string) (string, error) {
	if !strings.Contains(s, "%") {
		return s, nil
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			b.WriteByte(s[i])
			continue
		}
		if i+2 >= len(s) {
			return "", errors.New("a percent sign needs two hexadecimal digits after it")
		}
		hi, lo := unhex(s[i+1]), unhex(s[i+2])
		if hi < 0 || lo < 0 {
			return "", errors.New("a percent sign needs two hexadecimal digits after it")
		}
		if hi|lo == 0 {
			return "", errors.New("a NUL byte")
		}
		b.WriteByte(byte(hi<<4 | lo))
		i += 2
	}
	return b.String(), nil
}

func unhex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}
