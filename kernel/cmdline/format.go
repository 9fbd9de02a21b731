package cmdline

import (
	"fmt"
	"strings"
)

// Check reports what in l a command line cannot express: NUL bytes, options
// without a name or with a name that means something else, and environment
// entries without a name.
func (l *Line) Check() error {
	for _, o := range l.Options {
		if o.Name == "" || o.Name == argName || o.Name == endMark && o.Value == "" || strings.HasPrefix(o.Name, envPrefix) {
			return fmt.Errorf("command line: %q cannot be the name of an option", o.Name)
		}
		if strings.ContainsRune(o.Name+o.Value, 0) {
			return fmt.Errorf("command line: option %q holds a NUL byte", o.Name)
		}
	}
	for _, e := range l.Env {
		if i := strings.IndexByte(e, '='); i <= 0 {
			return fmt.Errorf("command line: environment entry %q is not of the form NAME=VALUE", e)
		}
		if strings.ContainsRune(e, 0) {
			return fmt.Errorf("command line: environment entry %q holds a NUL byte", e)
		}
	}
	for _, a := range l.Args {
		if strings.ContainsRune(a, 0) {
			return fmt.Errorf("command line: argument %q holds a NUL byte", a)
		}
	}
	return nil
}

// String formats l so that Parse gives it back. l must pass Check.
func (l *Line) String() string {
	var words []string
	for _, o := range l.Options {
		word := escape(o.Name, true)
		if o.Value != "" {
			word += "=" + escape(o.Value, false)
		}
		words = append(words, word)
	}
	for _, e := range l.Env {
		name, value, _ := strings.Cut(e, "=")
		words = append(words, envPrefix+escape(name, true)+"="+escape(value, false))
	}
	for _, a := range l.Args {
		words = append(words, argName+"="+escape(a, false))
	}
	return strings.Join(words, " ")
}

// escape writes %XX for bytes that cannot stand in a word; in names also for
// the equals sign.
func escape(s string, name bool) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c <= ' ' || c >= 0x7f || c == '%' || name && c == '=' {
			fmt.Fprintf(&b, "%%%02x", c)
			continue
		}
		b.WriteByte(c)
	}
	return b.String()
}
