package workload

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
)

// Tree is the files of one worker: names and contents.
type Tree map[string]string

// kind is what an operation does.
type kind int

const (
	write    kind = iota // open with O_TRUNC, write, fsync
	grow                 // append, fsync
	patch                // write somewhere in it, fsync
	truncate             // change the length, fsync
	replace              // write another file, fsync, rename over it, fsync the directory
	rename               // to a name in use or not, fsync the directory
	remove               // fsync the directory
	kinds
)

const (
	names       = 8
	temporary   = "new"
	largestSize = 64 << 10 // less than what the file service writes as one change
)

// Operation is one thing that a program does and then tells the world of.
type Operation struct {
	Number int // from 0
	kind   kind
	name   string
	to     string // of rename
	at     int64  // of patch; new length of truncate
	data   []byte
}

func (o Operation) String() string {
	words := [kinds]string{"write", "grow", "patch", "truncate", "replace", "rename", "remove"}
	return fmt.Sprintf("operation %d: %s %s %s at %d, %d bytes", o.Number, words[o.kind], o.name, o.to, o.at, len(o.data))
}

// Generator gives the operations of one worker, each possible after those before.
type Generator struct {
	rng  *rand.Rand
	next int
	tree Tree
}

// NewGenerator starts with no files.
func NewGenerator(seed uint64, worker int) *Generator {
	return &Generator{rng: rand.New(rand.NewPCG(seed, uint64(worker))), tree: Tree{}}
}

// Next returns the next operation.
func (g *Generator) Next() Operation {
	o := Operation{Number: g.next, kind: kind(g.rng.IntN(int(kinds))), name: g.anyName()}
	g.next++
	content, exists := g.tree[o.name]
	if !exists && o.kind != replace {
		o.kind = write
	}
	switch o.kind {
	case write, grow, replace:
		o.data = g.content()
	case patch:
		o.data, o.at = g.content(), g.rng.Int64N(int64(len(content))+1)
	case truncate:
		o.at = g.rng.Int64N(int64(len(content))*2 + 1)
	case rename:
		for o.to = o.name; o.to == o.name; {
			o.to = g.anyName()
		}
	}
	if len(content) > largestSize && (o.kind == grow || o.kind == patch || o.kind == truncate) {
		o.kind, o.at = truncate, g.rng.Int64N(largestSize)
	}
	for _, change := range o.changes() {
		change(g.tree)
	}
	return o
}

func (g *Generator) anyName() string { return fmt.Sprintf("file%d", g.rng.IntN(names)) }

// content is small most of the time.
func (g *Generator) content() []byte {
	most := 2000
	if g.rng.IntN(4) == 0 {
		most = largestSize
	}
	p := make([]byte, 1+g.rng.IntN(most))
	for i := 0; i < len(p); i += 8 {
		v := g.rng.Uint64()
		for j := i; j < min(i+8, len(p)); j++ {
			p[j], v = byte(v), v>>8
		}
	}
	return p
}

// changes are the atomic steps of an operation, in their order.
func (o Operation) changes() []func(Tree) {
	set := func(name string, content func(old string) string) func(Tree) {
		return func(t Tree) { t[name] = content(t[name]) }
	}
	empty := func(string) string { return "" }
	data := func(old string) string { return overwrite(old, 0, o.data) }
	move := func(from, to string) func(Tree) {
		return func(t Tree) { t[to] = t[from]; delete(t, from) }
	}
	switch o.kind {
	case write:
		return []func(Tree){set(o.name, empty), set(o.name, data)}
	case grow:
		return []func(Tree){set(o.name, func(old string) string { return old + string(o.data) })}
	case patch:
		return []func(Tree){set(o.name, func(old string) string { return overwrite(old, int(o.at), o.data) })}
	case truncate:
		return []func(Tree){set(o.name, func(old string) string { return resize(old, int(o.at)) })}
	case replace:
		return []func(Tree){set(temporary, empty), set(temporary, data), move(temporary, o.name)}
	case rename:
		return []func(Tree){move(o.name, o.to)}
	}
	return []func(Tree){func(t Tree) { delete(t, o.name) }}
}

func overwrite(old string, at int, data []byte) string {
	p := []byte(resize(old, max(len(old), at+len(data))))
	copy(p[at:], data)
	return string(p)
}

func resize(s string, n int) string {
	return string(append([]byte(s), make([]byte, max(0, n-len(s)))...)[:n])
}

// Do carries the operation out in a directory. It is durable on return.
func (o Operation) Do(dir string) error {
	path := filepath.Join(dir, o.name)
	switch o.kind {
	case write:
		return change(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, o.write)
	case grow:
		return change(path, os.O_WRONLY|os.O_APPEND, o.write)
	case patch:
		return change(path, os.O_WRONLY, func(f *os.File) error {
			_, err := f.WriteAt(o.data, o.at)
			return err
		})
	case truncate:
		return change(path, os.O_WRONLY, func(f *os.File) error { return f.Truncate(o.at) })
	case replace:
		other := filepath.Join(dir, temporary)
		if err := change(other, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, o.write); err != nil {
			return err
		}
		return then(os.Rename(other, path), dir)
	case rename:
		return then(os.Rename(path, filepath.Join(dir, o.to)), dir)
	}
	return then(os.Remove(path), dir)
}

func (o Operation) write(f *os.File) error {
	_, err := f.Write(o.data)
	return err
}

// change opens a file, changes it and makes it durable.
func change(path string, flags int, do func(*os.File) error) error {
	f, err := os.OpenFile(path, flags, 0o600)
	if err != nil {
		return err
	}
	if err = do(f); err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// then makes a change of names durable.
func then(err error, dir string) error {
	if err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// ReadTree reads a worker's directory.
func ReadTree(dir string) (Tree, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	t := Tree{}
	for _, e := range entries {
		content, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, err
		}
		t[e.Name()] = string(content)
	}
	return t, nil
}

// sortedNames are for digests and messages.
func (t Tree) sortedNames() []string { return slices.Sorted(maps.Keys(t)) }
