package kernel

// Each processor keeps the threads that wait with a time limit in a binary
// heap, soonest first. sched guards them.

func (c *processor) timerAt(k int32) int32 { return *c.timerSlot(k) }

func (c *processor) timerSlot(k int32) *int32 { return at[int32](c.heap + uintptr(k)*4) }

func (c *processor) putTimer(k, i int32) {
	*c.timerSlot(k) = i
	threadAt(i).timer = k
}

// addTimer has thread i, which has just blocked on c, wait no longer than due.
func (c *processor) addTimer(i int32, due int64) {
	threadAt(i).due = due
	c.timers++
	c.putTimer(c.timers-1, i)
	c.raise(c.timers - 1)
}

// cancelTimer forgets thread i's time limit, if it has one.
func cancelTimer(i int32) {
	t := threadAt(i)
	k := t.timer
	if k < 0 {
		return
	}
	c := cpuAt(int(t.cpu))
	t.timer = -1
	c.timers--
	if k == c.timers {
		return
	}
	c.putTimer(k, c.timerAt(c.timers))
	c.raise(k)
	c.sink(k)
}

func (c *processor) raise(k int32) {
	i := c.timerAt(k)
	due := threadAt(i).due
	for k > 0 {
		up := (k - 1) / 2
		j := c.timerAt(up)
		if threadAt(j).due <= due {
			break
		}
		c.putTimer(k, j)
		k = up
	}
	c.putTimer(k, i)
}

func (c *processor) sink(k int32) {
	i := c.timerAt(k)
	due := threadAt(i).due
	for {
		down := 2*k + 1
		if down >= c.timers {
			break
		}
		if down+1 < c.timers && threadAt(c.timerAt(down+1)).due < threadAt(c.timerAt(down)).due {
			down++
		}
		j := c.timerAt(down)
		if due <= threadAt(j).due {
			break
		}
		c.putTimer(k, j)
		k = down
	}
	c.putTimer(k, i)
}

// arm sets the timer for what is due next on c. A timer that fires early is
// harmless, so one that is armed for sooner stays.
func (c *processor) arm() {
	due := c.quantum
	if c.timers > 0 {
		due = min(due, threadAt(c.timerAt(0)).due)
	}
	if c.current != nobody {
		if t := c.thread(); t.period != 0 {
			due = min(due, t.started+t.profile-t.used)
		}
	}
	if crashing.Load() {
		due = min(due, crashEnd)
	}
	if due >= c.armed {
		return
	}
	c.armed = due
	armTimer(due)
}
