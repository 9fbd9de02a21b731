package qemu

import (
	"fmt"
	"regexp"
	"sync"
	"time"
)

// Console collects what a machine writes and lets tests wait for it. It is the
// output that Start takes. Safe for concurrent use.
type Console struct {
	mu   sync.Mutex
	text []byte        // everything since the machine started
	seen int           // how much of it Expect has passed over
	more chan struct{} // closed and replaced when text grows
}

// NewConsole returns an empty console.
func NewConsole() *Console {
	return &Console{more: make(chan struct{})}
}

// Write adds the machine's output. It never fails.
func (c *Console) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.text = append(c.text, p...)
	close(c.more)
	c.more = make(chan struct{})
	return len(p), nil
}

// Text returns everything written so far.
func (c *Console) Text() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return string(c.text)
}

// Expect waits until the output after the last match matches re, and returns
// the match and its groups. It fails at the deadline, and when the machine
// ends, which closing ended tells, without a match.
func (c *Console) Expect(re *regexp.Regexp, ended <-chan struct{}, patience time.Duration) ([]string, error) {
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	for last := false; ; {
		match, more := c.match(re)
		if match != nil {
			return match, nil
		}
		if last {
			return nil, fmt.Errorf("the machine ended before %q", re)
		}
		select {
		case <-more:
		case <-ended:
			last = true // all output has been written by now: look once more
		case <-deadline.C:
			return nil, fmt.Errorf("no %q within %v", re, patience)
		}
	}
}

// match looks once and passes over what matches.
func (c *Console) match(re *regexp.Regexp) ([]string, <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	rest := c.text[c.seen:]
	at := re.FindSubmatchIndex(rest)
	if at == nil {
		return nil, c.more
	}
	var groups []string
	for _, g := range re.FindSubmatch(rest) {
		groups = append(groups, string(g))
	}
	c.seen += at[1]
	return groups, nil
}
