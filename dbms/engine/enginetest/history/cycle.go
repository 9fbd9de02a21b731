package history

// step is an edge with its beginning.
type step struct {
	edge
	from int
}

// classes of cycles, the worst first: any cycle of edges of allowed, or one that
// has exactly one edge of one and otherwise edges of allowed.
var classes = []struct {
	name    string
	allowed kind
	one     kind
}{
	{"G0", ww, 0},
	{"G1c", ww | wr, 0},
	{"G-single", ww | wr, rw},
	{"G2-item", ww | wr | rw, 0},
	{"G2", ww | wr | rw | prw, 0},
	{"G0 in real time", ww | rt, 0},
	{"G1c in real time", ww | wr | rt, 0},
	{"G-single in real time", ww | wr | rt, rw},
	{"G2-item in real time", ww | wr | rw | rt, 0},
	{"G2 in real time", ww | wr | rw | prw | rt, 0},
}

// cycles reports the worst cycle of each knot of transactions.
func (c *checker) cycles() {
	for _, knot := range c.knots() {
		in := map[int]bool{}
		for _, n := range knot {
			in[n] = true
		}
		for _, class := range classes {
			if cycle := c.find(knot, in, class.allowed, class.one); cycle != nil {
				c.report(class.name, "%s", c.describe(cycle))
				break
			}
		}
	}
}

// find returns the shortest cycle of a class in a knot, or nil.
func (c *checker) find(knot []int, in map[int]bool, allowed, one kind) (best []step) {
	for _, n := range knot {
		for _, e := range c.graph[n] {
			first := one
			if one == 0 {
				first = allowed
			}
			if e.kind&first == 0 || !in[e.to] {
				continue
			}
			path, found := c.path(e.to, n, in, allowed)
			if found && (best == nil || len(path)+1 < len(best)) {
				best = append([]step{{edge: e, from: n}}, path...)
			}
		}
	}
	return best
}

// path is the shortest way between two transactions of a knot.
func (c *checker) path(from, to int, in map[int]bool, allowed kind) (steps []step, found bool) {
	came := map[int]step{}
	queue := []int{from}
	for len(queue) > 0 && queue[0] != to {
		n := queue[0]
		queue = queue[1:]
		for _, e := range c.graph[n] {
			if _, known := came[e.to]; known || e.to == from || e.kind&allowed == 0 || !in[e.to] {
				continue
			}
			came[e.to] = step{edge: e, from: n}
			queue = append(queue, e.to)
		}
	}
	if len(queue) == 0 {
		return nil, false
	}
	for n := to; n != from; n = came[n].from {
		steps = append([]step{came[n]}, steps...)
	}
	return steps, true
}

// knots are the strongly connected components of more than one transaction
// (Tarjan's algorithm, with a stack of its own, since histories are long).
func (c *checker) knots() (all [][]int) {
	index := make([]int, len(c.graph)) // order of discovery from 1 on; 0: not yet
	low := make([]int, len(c.graph))
	on := make([]bool, len(c.graph))
	var stack []int
	next := 1
	type frame struct{ node, edge int }
	for root := range c.graph {
		if index[root] != 0 {
			continue
		}
		frames := []frame{{node: root}}
		for len(frames) > 0 {
			f := &frames[len(frames)-1]
			n := f.node
			if f.edge == 0 && index[n] == 0 {
				index[n], low[n] = next, next
				next++
				stack, on[n] = append(stack, n), true
			}
			if f.edge < len(c.graph[n]) {
				to := c.graph[n][f.edge].to
				f.edge++
				if index[to] == 0 {
					frames = append(frames, frame{node: to})
				} else if on[to] {
					low[n] = min(low[n], index[to])
				}
				continue
			}
			if frames = frames[:len(frames)-1]; len(frames) > 0 {
				parent := frames[len(frames)-1].node
				low[parent] = min(low[parent], low[n])
			}
			if low[n] == index[n] {
				var knot []int
				knot, stack = popKnot(stack, n, on)
				if len(knot) > 1 {
					all = append(all, knot)
				}
			}
		}
	}
	return all
}

// popKnot takes a component from the stack, down to its first node.
func popKnot(stack []int, first int, on []bool) (knot, rest []int) {
	for at := len(stack) - 1; ; at-- {
		on[stack[at]] = false
		if stack[at] == first {
			return append([]int(nil), stack[at:]...), stack[:at]
		}
	}
}
