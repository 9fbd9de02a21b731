package command

import (
	"fmt"
	"slices"
	"strings"
)

// Registry holds the commands that a shell knows. It does not change while
// shells use it.
type Registry struct {
	byName map[string]*Command
	names  []string // sorted
}

// NewRegistry returns a registry of the given commands. Two commands of one
// name, or one without a name, a summary or a function, are an error.
func NewRegistry(groups ...[]*Command) (*Registry, error) {
	r := &Registry{byName: make(map[string]*Command)}
	for _, cmd := range slices.Concat(groups...) {
		if cmd.Name == "" || cmd.Summary == "" || cmd.Run == nil {
			return nil, fmt.Errorf("command %q lacks a name, a summary or a function", cmd.Name)
		}
		if r.byName[cmd.Name] != nil {
			return nil, fmt.Errorf("there are two commands called %s", cmd.Name)
		}
		r.byName[cmd.Name] = cmd
		r.names = append(r.names, cmd.Name)
	}
	slices.Sort(r.names)
	return r, nil
}

// Lookup returns the command of that name, or nil. The name may also be that
// of the file it would be on another system: /bin/ls is ls.
func (r *Registry) Lookup(name string) *Command {
	for _, dir := range []string{"/bin/", "/usr/bin/", "/sbin/", "/usr/sbin/"} {
		if base, ok := strings.CutPrefix(name, dir); ok {
			return r.byName[base]
		}
	}
	return r.byName[name]
}

// Names returns the names of all commands, sorted. The caller must not change it.
func (r *Registry) Names() []string { return r.names }

// Near returns the names, those of commands and others, that someone who typed
// name may have meant: the nearest, at most three.
func (r *Registry) Near(name string, others ...string) []string {
	type guess struct {
		name string
		far  int
	}
	limit := 1 + len(name)/4 // about one slip in four letters
	var found []guess
	for _, candidate := range append(slices.Clone(r.names), others...) {
		far := distance(name, candidate)
		if far <= limit && far < len(candidate) {
			found = append(found, guess{candidate, far})
		}
	}
	slices.SortStableFunc(found, func(a, b guess) int { return a.far - b.far })
	var names []string
	for _, g := range found[:min(3, len(found))] {
		if g.far == found[0].far {
			names = append(names, g.name)
		}
	}
	return names
}

// distance is the number of letters to insert, drop, replace or swap with
// their neighbour to come from a to b (the optimal string alignment distance).
func distance(a, b string) int {
	before, last := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row := make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}
