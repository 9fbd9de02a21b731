package main

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/term"
)

// progress shows on a terminal that something long is under way. On anything
// but a terminal it prints nothing.
type progress struct {
	quit, done chan struct{}
}

// progressDelay keeps quick work silent.
const progressDelay = 500 * time.Millisecond

func startProgress(out *os.File, what string) *progress {
	if !term.IsTerminal(int(out.Fd())) {
		return nil
	}
	p := &progress{quit: make(chan struct{}), done: make(chan struct{})}
	go p.show(out, what)
	return p
}

func (p *progress) show(out *os.File, what string) {
	defer close(p.done)
	start := time.Now()
	tick := time.NewTicker(progressDelay)
	defer tick.Stop()
	for shown := false; ; shown = true {
		select {
		case <-p.quit:
			if shown {
				fmt.Fprint(out, "\r\033[K")
			}
			return
		case <-tick.C:
			fmt.Fprintf(out, "\r\033[K%s ... %.0f s", what, time.Since(start).Seconds())
		}
	}
}

// stop removes the line and returns when the terminal is free again.
func (p *progress) stop() {
	if p == nil {
		return
	}
	close(p.quit)
	<-p.done
}
