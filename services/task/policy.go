package task

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tuplix/tuplix/services/user"
)

// A policy says which task is taken next, and by whom, as an ORDER BY does: terms
// with commas between, each with "desc" or not.
//
//	priority    the task's
//	due         since when it can be taken ("submitted" is the same, for most)
//	deadline    when it is to be stopped; those without one come last
//	attempt     how often it was begun
//	share       tasks of its queue that run, divided by the queue's weight
//	place       0 if the task runs best on the worker's machine or anywhere, else 1
//	load        tasks that the worker has, divided by those it takes
//
// Examples: "due" is first come, first served; "priority desc, due" is the
// default; "share, priority desc" lets queues share workers fairly; "load,
// priority desc" hands tasks to the least busy worker; "place, due" looks for
// locality. Where all terms are equal, the task that is due first goes first, and
// then the one with the lower number.
//
// Which of them are exact: tasks that can be taken are kept in the order of queue,
// priority, due. One group of tasks of the same queue and priority is read from
// its head on, and heads are compared; so any order of priority, due, share and
// load takes the best task of all, with one read for each group whose head is the
// best of all or has gone. With deadline, attempt and place the best is found
// among the first 64 tasks of each group, at most 1,024 altogether: an
// approximation where more than that wait.
type policy struct {
	text   string
	terms  []term
	share  bool // looks at queues
	load   bool // looks at workers
	rows   bool // looks at columns that the order of what is ready does not have
	worker bool // looks at the worker while comparing tasks
}

type term struct {
	column column
	desc   bool
}

// column is what a term compares: numbers, since each comparison of tasks looks at it.
type column uint8

const (
	byPriority column = iota
	byDue
	byDeadline
	byAttempt
	byShare
	byPlace
	byLoad
)

var columns = map[string]column{
	"priority": byPriority, "due": byDue, "submitted": byDue, "deadline": byDeadline, "attempt": byAttempt,
	"share": byShare, "place": byPlace, "load": byLoad,
}

const (
	defaultOrder = "priority desc, due"
	window       = 64   // tasks of a group that are looked at, with terms that need it
	mostWindows  = 1024 // tasks altogether
)

// ParsePolicy checks the text of a policy.
func ParsePolicy(text string) error {
	_, err := parsePolicy(text)
	return err
}

func parsePolicy(text string) (*policy, error) {
	p := &policy{text: text}
	for part := range strings.SplitSeq(text, ",") {
		t, err := parseTerm(part)
		if err != nil {
			return nil, fmt.Errorf("policy %q: %w", text, err)
		}
		if slices.ContainsFunc(p.terms, func(o term) bool { return o.column == t.column }) {
			return nil, fmt.Errorf("policy %q: %s is there twice", text, strings.Fields(strings.ToLower(part))[0])
		}
		p.terms = append(p.terms, t)
		p.share = p.share || t.column == byShare
		p.load = p.load || t.column == byLoad
		p.rows = p.rows || t.column == byDeadline || t.column == byAttempt || t.column == byPlace
		p.worker = p.worker || t.column == byPlace
	}
	return p, nil
}

func parseTerm(text string) (term, error) {
	words := strings.Fields(strings.ToLower(text))
	switch {
	case len(words) == 0:
		return term{}, errors.New("a term is empty; the terms are priority, due, deadline, attempt, share, place, load")
	case len(words) > 2, len(words) == 2 && words[1] != "asc" && words[1] != "desc":
		return term{}, fmt.Errorf("%q is not a column with asc or desc", strings.TrimSpace(text))
	}
	c, known := columns[words[0]]
	if !known {
		return term{}, fmt.Errorf("there is no column %q; there are priority, due, deadline, attempt, share, place, load", words[0])
	}
	return term{column: c, desc: len(words) == 2 && words[1] == "desc"}, nil
}

// order returns the policy as this procedure sees it.
func (p *proc) order() (*policy, error) {
	if !p.foreign {
		return p.s.settings.order(p.tx, p.s.o.Log)
	}
	text, err := readOrder(p.tx)
	if err != nil {
		return nil, err
	}
	parsed, err := parsePolicy(text)
	if err != nil { // the dispatcher says so
		return parsePolicy(defaultOrder)
	}
	return parsed, nil
}

// setPolicy changes the policy.
func (p *proc) setPolicy(text string) error {
	if err := user.Check(p.tx, p.caller, user.Admin, user.Object{Kind: user.KindSystem, Name: "task"}); err != nil {
		return err
	}
	if err := ParsePolicy(text); err != nil {
		return err
	}
	p.wrote = true
	if err := Policies.Put(p.tx, &Policy{Name: theOrder, Order: text}); err != nil {
		return err
	}
	return p.recount()
}
