package task

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/tuplix/tuplix/dbms/table"
	"github.com/tuplix/tuplix/services/user"
)

// mostMissed bounds how many times that were missed are made up for at once: the
// rest follows in later procedures.
const mostMissed = 100

// parser reads five fields, or six with seconds first, and @daily, @every and so
// on.
var parser = cron.NewParser(cron.SecondOptional | cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow | cron.Descriptor)

// times returns when a schedule is due; nil if it is not due by time.
func (sc *Schedule) times() (cron.Schedule, *time.Location, error) {
	zone := time.UTC
	if sc.Zone != "" {
		var err error
		if zone, err = time.LoadLocation(sc.Zone); err != nil {
			return nil, nil, fmt.Errorf("schedule %q: %w", sc.Name, err)
		}
	}
	if sc.Cron == bootCron {
		return nil, zone, nil
	}
	times, err := parser.Parse(sc.Cron)
	if err != nil {
		return nil, nil, fmt.Errorf("schedule %q: %w", sc.Name, err)
	}
	return times, zone, nil
}

// after sets Next to the first time after t, or none.
func (sc *Schedule) after(t time.Time) error {
	times, zone, err := sc.times()
	sc.Next = sql.Null[time.Time]{}
	if err != nil || times == nil || sc.Paused {
		return err
	}
	if next := times.Next(t.In(zone)); !next.IsZero() {
		sc.Next = sql.Null[time.Time]{V: next.UTC(), Valid: true}
	}
	return nil
}

// SetSchedule adds a schedule, or replaces the one of its name. It needs the right
// of admin to the queue, and to that of the one it replaces. Next, Last, Task and User are the service's to set.
func (s *Service) SetSchedule(ctx context.Context, sc Schedule) error {
	if sc.Name == "" {
		return errors.New("a schedule needs a name")
	}
	return s.group.do(ctx, &request{caller: user.From(ctx), name: "task.SetSchedule", durable: true, part: func(p *proc) error {
		program, err := p.program(sc.Program)
		if err != nil {
			return err
		}
		if sc.Queue == "" {
			sc.Queue = program.Queue
		}
		old, err := Schedules.Get(p.tx, sc.Name)
		switch {
		case err == nil:
			err = p.may(user.Admin, old.Queue)
		case errors.Is(err, table.ErrNotFound):
			err = nil
		}
		if err == nil {
			err = p.may(user.Admin, sc.Queue)
		}
		if err != nil {
			return err
		}
		sc.User = p.caller.User
		if err := sc.after(p.now); err != nil {
			return err
		}
		p.wrote = true
		if sc.Next.Valid {
			p.earliest = soonest(p.earliest, sc.Next.V)
		}
		return Schedules.Put(p.tx, &sc)
	}})
}

// DropSchedule removes a schedule. Tasks that it has submitted stay.
func (s *Service) DropSchedule(ctx context.Context, name string) error {
	return s.group.do(ctx, &request{caller: user.From(ctx), name: "task.DropSchedule", durable: true, part: func(p *proc) error {
		sc, err := Schedules.Get(p.tx, name)
		if errors.Is(err, table.ErrNotFound) {
			return fmt.Errorf("schedule %q: %w", name, ErrUnknown)
		}
		if err == nil {
			err = p.may(user.Admin, sc.Queue)
		}
		if err != nil {
			return err
		}
		p.wrote = true
		return Schedules.Delete(p.tx, name)
	}})
}

// fireSchedules submits the tasks of schedules that are due.
func (p *proc) fireSchedules() error {
	var due []Schedule
	for sc, err := range nextSchedule.Scan(p.tx, table.Through(p.now).Limit(mostFired)) {
		if err != nil {
			return err
		}
		due = append(due, sc)
	}
	for i := range due {
		if err := p.fireSchedule(&due[i]); err != nil {
			return err
		}
	}
	return nil
}

// fireSchedule submits the tasks of one schedule: one for each time that has come,
// or only for the last of them.
func (p *proc) fireSchedule(sc *Schedule) error {
	for n := 0; sc.Next.Valid && !sc.Next.V.After(p.now) && n < mostMissed; n++ {
		sc.Last = sc.Next
		if err := sc.after(sc.Last.V); err != nil {
			return err
		}
		if !sc.CatchUp && sc.Next.Valid && !sc.Next.V.After(p.now) {
			// Skip to the last time that has come. A clock that is set far ahead
			// is no reason to count all times between.
			if err := sc.after(p.now); err != nil {
				return err
			}
		}
		if err := p.submitFor(sc); err != nil {
			return err
		}
	}
	return Schedules.Update(p.tx, sc)
}

// submitFor submits a task of a schedule. What it cannot submit, because a right
// or a program is gone, it leaves out and says so.
func (p *proc) submitFor(sc *Schedule) error {
	caller := p.caller
	defer func() { p.caller = caller }()
	p.caller = user.Caller{User: sc.User, Program: system.Program}
	id, err := p.submit(&Request{Program: sc.Program, Queue: sc.Queue, Args: sc.Args, Priority: sc.Priority}, 0)
	if errors.Is(err, ErrUnknown) || isDenied(err) {
		p.s.o.Log("task: schedule %q submits nothing: %v", sc.Name, err)
		return nil
	}
	sc.Task = id
	return err
}

// boot does what is to be done when the machine starts: schedules of times that
// passed meanwhile, and those of each start.
func (p *proc) boot() error {
	var all []Schedule
	for sc, err := range Schedules.Scan(p.tx, table.Span{}) {
		if err != nil {
			return err
		}
		all = append(all, sc)
	}
	for i := range all {
		sc := &all[i]
		switch {
		case sc.Paused:
			continue
		case sc.Cron == bootCron:
			sc.Last = sql.Null[time.Time]{V: p.now, Valid: true}
			if err := p.submitFor(sc); err != nil {
				return err
			}
		case !sc.CatchUp && sc.Next.Valid && !sc.Next.V.After(p.now):
			if err := sc.after(p.now); err != nil {
				p.s.o.Log("task: %v", err)
			}
		default:
			continue
		}
		if err := Schedules.Update(p.tx, sc); err != nil {
			return err
		}
	}
	return nil
}
