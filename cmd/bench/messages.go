package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/tuplix/tuplix/dbms/table"
	"github.com/tuplix/tuplix/services/message"
	services "github.com/tuplix/tuplix/services/system"
)

const (
	messageBytes  = 100
	roundTrips    = 2000 // of one turn
	subscribers   = 40
	published     = 500    // messages of one turn
	waitingBoxes  = 10_000 // receivers
	waitingBound  = 10_000 // bytes for each
	idleWatched   = time.Second
	idleBound     = 0.01 // of a processor
	grpcThan      = "gRPC, loopback"
	microsPerNano = 1e-3
)

// messageContests are the figures of package message.
func messageContests() []contest {
	return []contest{
		{spec{"message there and back, median", "us", lower, 0.5}, grpcThan, bounce, pingPongGRPC, true},
		{spec{"call and answer by messages, median", "us", lower, record}, grpcThan, callAndAnswer, pingPongGRPC, true},
		{spec{"messages to 40 subscribers", "1/s", higher, 3}, grpcThan, fanOutOurs, fanOutGRPC, true},
		{spec{"memory of a receiver that waits", "B", lower, 1}, "10 KB", crowd(waiting).memory(waitingBoxes), fixed(waitingBound), true},
		{spec{"processor for 10,000 that wait", "share", lower, 1}, "1 %", crowd(waiting).processor, fixed(idleBound), true},
	}
}

// medianTrip measures trips one by one.
func medianTrip(trip func() error) (float64, error) {
	took := make([]time.Duration, 0, roundTrips)
	for range roundTrips {
		begun := time.Now()
		if err := trip(); err != nil {
			return 0, err
		}
		took = append(took, time.Since(begun))
	}
	slices.Sort(took)
	return float64(took[len(took)/2].Nanoseconds()) * microsPerNano, nil
}

// bounce has two tasks pass a message to and fro: each takes it and sends the next in
// one transaction. It measures the trips of the second one.
func bounce(ctx context.Context) (us float64, err error) {
	err = withPartner(ctx, func(m *message.Service) error {
		if _, err := m.Send(ctx, "ping", message.Outgoing{Body: make([]byte, messageBytes)}); err != nil {
			return err
		}
		us, err = medianTrip(func() error { return passOn(ctx, m, "pong", "ping") })
		return err
	})
	return us, err
}

// callAndAnswer has a task send a message and then take the answer, in a transaction for each.
func callAndAnswer(ctx context.Context) (us float64, err error) {
	body := make([]byte, messageBytes)
	err = withPartner(ctx, func(m *message.Service) error {
		us, err = medianTrip(func() error {
			if _, err := m.Send(ctx, "ping", message.Outgoing{Body: body}); err != nil {
				return err
			}
			return m.Process(ctx, "pong", func(*table.Tx, message.Message) error { return nil })
		})
		return err
	})
	return us, err
}

// passOn takes a message from a mailbox and sends it to another in one transaction.
func passOn(ctx context.Context, m *message.Service, from, to string) error {
	return m.Process(ctx, from, func(tx *table.Tx, x message.Message) error {
		_, err := m.In(ctx, tx).Send(to, message.Outgoing{Body: x.Body})
		return err
	})
}

// withPartner runs fn while another task answers each message of ping with one of pong.
func withPartner(ctx context.Context, fn func(m *message.Service) error) error {
	return withSystem(ctx, func(s *services.System) error {
		for _, name := range []string{"ping", "pong"} {
			if err := s.Message.CreateMailbox(ctx, message.Mailbox{Name: name}); err != nil {
				return err
			}
		}
		answering, cancel := context.WithCancel(ctx)
		var other sync.WaitGroup
		var answered error
		other.Go(func() {
			for answered == nil {
				answered = passOn(answering, s.Message, "ping", "pong")
			}
		})
		err := fn(s.Message)
		cancel()
		other.Wait()
		if !errors.Is(answered, context.Canceled) {
			err = errors.Join(err, answered)
		}
		return err
	})
}

// fanOutOurs publishes to subscribers who all read all.
func fanOutOurs(ctx context.Context) (rate float64, err error) {
	err = withSystem(ctx, func(s *services.System) error {
		if err := s.Message.CreateTopic(ctx, message.Topic{Name: "news"}); err != nil {
			return err
		}
		var readers []*message.Reader
		for range subscribers {
			r, err := s.Message.Follow(ctx, "news", message.Oldest)
			if err != nil {
				return err
			}
			readers = append(readers, r)
		}
		body := make([]byte, messageBytes)
		rate, err = fanOut(func(n int) error {
			for range n {
				if _, err := s.Message.Publish(ctx, "news", message.Outgoing{Body: body}); err != nil {
					return err
				}
			}
			return nil
		}, func(i int) error {
			_, err := readers[i].Next(ctx)
			return err
		})
		return err
	})
	return rate, err
}

// fanOut measures how many deliveries there are in a second: publish sends so many
// messages, receive takes one as subscriber i.
func fanOut(publish func(n int) error, receive func(i int) error) (float64, error) {
	var all sync.WaitGroup
	errs := make([]error, subscribers+1)
	begun := time.Now()
	for i := range subscribers {
		all.Go(func() {
			for n := 0; n < published && errs[i] == nil; n++ {
				errs[i] = receive(i)
			}
		})
	}
	errs[subscribers] = publish(published)
	if errs[subscribers] == nil {
		all.Wait()
	}
	return published * subscribers / time.Since(begun).Seconds(), errors.Join(errs...)
}

// waiting runs fn while receivers wait, each at a mailbox of its own.
func waiting(ctx context.Context, fn func(before int64)) error {
	return withSystem(ctx, func(s *services.System) error {
		for i := range waitingBoxes {
			if err := s.Message.CreateMailbox(ctx, message.Mailbox{Name: fmt.Sprint(i)}); err != nil {
				return err
			}
		}
		before := inUse()
		until, cancel := context.WithCancel(ctx)
		var all sync.WaitGroup
		errs := make([]error, waitingBoxes)
		for i := range waitingBoxes {
			all.Go(func() {
				_, err := s.Message.Receive(until, fmt.Sprint(i))
				if !errors.Is(err, context.Canceled) {
					errs[i] = err
				}
			})
		}
		for s.Message.Waiting() < waitingBoxes && ctx.Err() == nil {
			runtime.Gosched()
		}
		fn(before)
		cancel()
		all.Wait()
		return errors.Join(errs...)
	})
}

// crowd runs fn while many wait; before is what was in use without them.
type crowd func(ctx context.Context, fn func(before int64)) error

// memory measures what each of n takes.
func (c crowd) memory(n int) measurement {
	return func(ctx context.Context) (bytes float64, err error) {
		err = c(ctx, func(before int64) { bytes = float64(inUse()-before) / float64(n) })
		return bytes, err
	}
}

// processor measures the share of a processor that this process takes meanwhile.
func (c crowd) processor(ctx context.Context) (share float64, err error) {
	err = c(ctx, func(int64) {
		runtime.GC()
		begun, used := time.Now(), processorTime()
		select {
		case <-time.After(idleWatched):
		case <-ctx.Done():
		}
		share = float64(processorTime()-used) / float64(time.Since(begun))
	})
	return share, err
}

// inUse is how many bytes of heap and stacks are in use at rest: each collection
// halves stacks that are larger than they need to be.
func inUse() int64 {
	var m runtime.MemStats
	for range 3 {
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}

func processorTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
