package control

import (
	"context"
	"database/sql"
	"time"

	"github.com/tuplix/tuplix/dbms/table"
	"github.com/tuplix/tuplix/services/net/flow"
)

const (
	// MaxBatch is how many connections that came and went between two batches are
	// written by the second.
	MaxBatch = 2000

	// KeepClosed is how many closed connections the table keeps, about.
	KeepClosed = 10_000

	stateLost = "LOST"
)

// batch is what of connections is to be written.
type batch struct {
	rows    []Connection
	told    map[uint64]uint64 // what the recorder will have told
	closed  int               // of rows
	skipped uint64
	open    int
}

// choose makes a batch of what changed, and with counters of the open connections
// that have moved bytes. It changes nothing of the recorder.
func (r *recorder) choose(counters bool) *batch {
	open := r.flows().Open()
	news := r.flows().Take() // in this order: what is closed in between is in both
	b := &batch{told: map[uint64]uint64{}, skipped: news.Lost, open: len(open)}
	for _, c := range open {
		sum, known := r.told[c.ID]
		if now := c.Received.Load() + c.Sent.Load(); !known || counters && now != sum {
			b.rows = append(b.rows, r.row(c))
			sum = now
		}
		b.told[c.ID] = sum
	}
	short := 0
	for _, c := range news.Closed {
		_, before := r.told[c.ID]
		if _, now := b.told[c.ID]; !before && !now {
			if short++; short > MaxBatch {
				b.skipped++
				continue
			}
		}
		b.rows = append(b.rows, r.row(c))
		b.closed++
	}
	return b
}

func (r *recorder) row(c *flow.Connection) Connection {
	row := Connection{
		ID: r.base + c.ID, Protocol: c.Protocol, Inbound: c.Inbound,
		Address: c.Local.Addr().String(), Port: c.Local.Port(), Peer: c.Remote.Addr().String(), PeerPort: c.Remote.Port(),
		State: c.State(), Program: c.Owner.Program, Task: c.Owner.Task, Opened: stamp(c.Opened),
		Received: c.Received.Load(), Sent: c.Sent.Load(),
	}
	if at, ok := c.Closed(); ok {
		row.Closed = sql.Null[time.Time]{V: stamp(at), Valid: true}
	}
	return row
}

func (b *batch) write(tx *table.Tx) error {
	for i := range b.rows {
		if err := Connections.Put(tx, &b.rows[i]); err != nil {
			return err
		}
	}
	return nil
}

// rewrite writes all open connections, and ends those that are said to be open and
// are not: at the first batch of a boot, and after a restore.
func (r *recorder) rewrite(tx *table.Tx) error {
	open := map[uint64]bool{}
	for _, c := range r.flows().Open() {
		row := r.row(c)
		open[row.ID] = true
		if err := Connections.Put(tx, &row); err != nil {
			return err
		}
	}
	var lost []Connection
	for row, err := range stillOpen.Scan(tx, table.Span{}) {
		if err != nil {
			return err
		}
		if !open[row.ID] {
			lost = append(lost, row)
		}
	}
	for i := range lost {
		lost[i].State, lost[i].Closed = stateLost, sql.Null[time.Time]{V: r.booted, Valid: true}
		if err := Connections.Update(tx, &lost[i]); err != nil {
			return err
		}
	}
	return nil
}

// trim removes the oldest closed connections when there are a quarter too many. With
// recount they are counted before.
func (r *recorder) trim(recount bool) error {
	if recount {
		n := 0
		err := r.s.store.View(context.Background(), func(tx *table.Tx) error {
			return each(tx, Connections, func(c *Connection) {
				if c.Closed.Valid {
					n++
				}
			})
		})
		if err != nil {
			return err
		}
		r.closed = n
	}
	if r.closed <= KeepClosed+KeepClosed/4 {
		return nil
	}
	o := op("net.Trim")
	o.NoWait = true
	most, removed := r.closed-KeepClosed, 0
	_, err := r.s.store.Update(context.Background(), o, func(tx *table.Tx) error {
		removed = 0
		for c, err := range Connections.Scan(tx, table.Span{}) {
			if err != nil {
				return err
			}
			if removed >= most {
				return nil
			}
			if !c.Closed.Valid {
				continue
			}
			if err := Connections.Delete(tx, c.ID); err != nil {
				return err
			}
			removed++
		}
		return nil
	})
	if err == nil {
		r.closed -= removed
	}
	return err
}
