package files

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/tuplix/tuplix/apps/shell/command"
)

var findCommand = &command.Command{
	Name:    "find",
	Usage:   "[directory...] [-name glob] [-iname glob] [-path glob] [-type fdlpsbc] [-size [+-]n[ckMG]] [-mtime [+-]days] [-newer file] [-empty] [-maxdepth n] [-mindepth n] [! test] [-print0] [-delete] [-exec command {} ;]",
	Summary: "walk directories and print the names that pass all tests",
	Run:     find,
}

// finder is one run of find.
type finder struct {
	*command.Call
	tests    []func(v visit) bool
	least    int // depth at which names begin to count
	most     int // depth below which the walk does not go; -1 for none
	end      string
	remove   bool
	exec     []string
	failed   bool
	deferred []visit // to be removed, deepest last
}

// visit is one name that the walk has come to.
type visit struct {
	name  string // as it is printed
	path  string
	depth int
	info  fs.FileInfo
}

func find(ctx context.Context, c *command.Call) error {
	if len(c.Args) == 1 && (c.Args[0] == "-h" || c.Args[0] == "--help") {
		_, err := c.Options().Parse(0, 0)
		return err
	}
	f := &finder{Call: c, most: -1, end: "\n"}
	args := c.Args
	var roots []string
	for len(args) > 0 && args[0] != "!" && !strings.HasPrefix(args[0], "-") {
		roots, args = append(roots, args[0]), args[1:]
	}
	if len(roots) == 0 {
		roots = []string{"."}
	}
	for len(args) > 0 {
		var err error
		if args, err = f.term(args); err != nil {
			return err
		}
	}
	for _, root := range roots {
		if err := f.walk(ctx, root); err != nil {
			return err
		}
	}
	f.removeAll()
	if f.failed {
		return command.Exit(command.StatusFailed)
	}
	return nil
}

// term takes one test or action from the arguments and returns the rest.
func (f *finder) term(args []string) ([]string, error) {
	word := args[0]
	switch word {
	case "!", "-not":
		return f.negation(args[1:])
	case "-print":
		return args[1:], nil
	case "-print0":
		f.end = "\x00"
		return args[1:], nil
	case "-delete":
		f.remove = true
		return args[1:], nil
	case "-empty":
		f.tests = append(f.tests, empty)
		return args[1:], nil
	case "-exec":
		return f.execution(args[1:])
	}
	if len(args) < 2 {
		return nil, command.Usagef("%s is not a test of find, or lacks its value", word)
	}
	test, err := f.valued(word, args[1])
	if err != nil {
		return nil, err
	}
	if test != nil {
		f.tests = append(f.tests, test)
	}
	return args[2:], nil
}

func (f *finder) negation(args []string) ([]string, error) {
	before := len(f.tests)
	if len(args) == 0 {
		return nil, command.Usagef("a test is missing after !")
	}
	rest, err := f.term(args)
	if err != nil {
		return nil, err
	}
	if len(f.tests) != before+1 {
		return nil, command.Usagef("%s cannot stand after !", args[0])
	}
	test := f.tests[before]
	f.tests[before] = func(v visit) bool { return !test(v) }
	return rest, nil
}

func (f *finder) execution(args []string) ([]string, error) {
	for i, a := range args {
		if a == ";" || a == "+" {
			if f.exec = args[:i]; i == 0 {
				break
			}
			return args[i+1:], nil
		}
	}
	return nil, command.Usagef(`-exec needs a command and a closing ";" (quoted: \;)`)
}

// valued makes the test for a word with a value; a nil test is an option.
func (f *finder) valued(word, value string) (func(visit) bool, error) {
	switch word {
	case "-name":
		return glob(value, func(v visit) string { return path.Base(v.name) })
	case "-iname":
		return glob(strings.ToLower(value), func(v visit) string { return strings.ToLower(path.Base(v.name)) })
	case "-path", "-wholename":
		return glob(value, func(v visit) string { return v.name })
	case "-type":
		return typeTest(value)
	case "-size":
		return sizeTest(value)
	case "-mtime":
		return compare(value, func(v visit) int64 { return int64(time.Since(v.info.ModTime()) / (24 * time.Hour)) })
	case "-newer":
		info, err := os.Stat(f.Path(value))
		if err != nil {
			return nil, command.Named(value, err)
		}
		return func(v visit) bool { return v.info.ModTime().After(info.ModTime()) }, nil
	case "-maxdepth", "-mindepth":
		n, err := strconv.Atoi(value)
		if err != nil || n < 0 {
			return nil, command.Usagef("%s: %q is not a depth", word, value)
		}
		if word == "-maxdepth" {
			f.most = n
		} else {
			f.least = n
		}
		return nil, nil
	}
	return nil, command.Usagef("%s is not a test of find", word)
}

func glob(pattern string, of func(visit) string) (func(visit) bool, error) {
	if _, err := path.Match(pattern, ""); err != nil {
		return nil, command.Usagef("%q is not a glob: %v", pattern, err)
	}
	return func(v visit) bool {
		ok, err := path.Match(pattern, of(v))
		return ok && err == nil // the pattern was checked above
	}, nil
}

func typeTest(value string) (func(visit) bool, error) {
	const letters = "fdlpsbc"
	for _, letter := range value {
		if !strings.ContainsRune(letters, letter) && letter != ',' {
			return nil, command.Usagef("-type %s: the types are %s", value, letters)
		}
	}
	return func(v visit) bool {
		letter := Mode(v.info.Mode())[:1]
		if letter == "-" {
			letter = "f"
		}
		return strings.Contains(value, letter)
	}, nil
}

// sizeTest compares the size in units of the value's last letter, rounded up:
// c for bytes, k, M, G; blocks of 512 bytes without one.
func sizeTest(value string) (func(visit) bool, error) {
	unit := int64(512)
	for letter, bytes := range map[string]int64{"c": 1, "k": 1 << 10, "M": 1 << 20, "G": 1 << 30} {
		if rest, ok := strings.CutSuffix(value, letter); ok {
			value, unit = rest, bytes
			break
		}
	}
	return compare(value, func(v visit) int64 { return (v.info.Size() + unit - 1) / unit })
}

// compare makes a test of a number: "n" for exactly, "+n" for more, "-n" for less.
func compare(value string, of func(visit) int64) (func(visit) bool, error) {
	n, err := strconv.ParseInt(strings.TrimLeft(value, "+-"), 10, 64)
	if err != nil {
		return nil, command.Usagef("%q is not a number", value)
	}
	switch value[0] {
	case '+':
		return func(v visit) bool { return of(v) > n }, nil
	case '-':
		return func(v visit) bool { return of(v) < n }, nil
	}
	return func(v visit) bool { return of(v) == n }, nil
}

func empty(v visit) bool {
	if !v.info.IsDir() {
		return v.info.Mode().IsRegular() && v.info.Size() == 0
	}
	entries, err := os.ReadDir(v.path)
	return err == nil && len(entries) == 0
}

func (f *finder) walk(ctx context.Context, root string) error {
	top := f.Path(root)
	return filepath.WalkDir(top, func(at string, d fs.DirEntry, err error) error {
		if stop := ctx.Err(); stop != nil {
			return stop
		}
		v := visit{name: root, path: at}
		if rel := strings.TrimPrefix(strings.TrimPrefix(at, top), "/"); rel != "" && at != top {
			v.name = strings.TrimSuffix(root, "/") + "/" + rel
			v.depth = 1 + strings.Count(rel, "/")
		}
		if err == nil {
			v.info, err = d.Info()
		}
		if err != nil {
			if !errors.Is(err, fs.ErrNotExist) || v.depth == 0 {
				f.warn(v.name, err)
			}
			return nil
		}
		if err := f.meet(ctx, v); err != nil {
			return err
		}
		if d.IsDir() && f.most >= 0 && v.depth >= f.most {
			return fs.SkipDir
		}
		return nil
	})
}

func (f *finder) warn(name string, err error) {
	f.Warn(command.Named(name, err))
	f.failed = true
}

// meet tests one name and acts on it.
func (f *finder) meet(ctx context.Context, v visit) error {
	if v.depth < f.least {
		return nil
	}
	for _, test := range f.tests {
		if !test(v) {
			return nil
		}
	}
	switch {
	case f.remove:
		f.deferred = append(f.deferred, v)
	case f.exec != nil:
		return f.execute(ctx, v)
	default:
		_, err := fmt.Fprint(f.Out, v.name+f.end)
		return err
	}
	return nil
}

func (f *finder) execute(ctx context.Context, v visit) error {
	argv := make([]string, len(f.exec))
	for i, a := range f.exec {
		argv[i] = strings.ReplaceAll(a, "{}", v.name)
	}
	err := f.Exec(ctx, argv, nil)
	if errors.As(err, new(command.Exit)) {
		f.failed = true
		return nil
	}
	return err
}

// removeAll removes what was found, what is in a directory before it.
func (f *finder) removeAll() {
	for i := len(f.deferred) - 1; i >= 0; i-- {
		if err := os.Remove(f.deferred[i].path); err != nil {
			f.warn(f.deferred[i].name, err)
		}
	}
}
