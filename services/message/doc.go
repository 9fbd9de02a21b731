// Package message carries messages between tasks: through mailboxes, where each
// message is for one receiver, and topics, where every subscriber gets each.
//
//	m.Send(ctx, "orders", message.Outgoing{Key: "ann", Body: body})
//
//	d, err := m.Receive(ctx, "orders")          // waits; leased to this receiver
//	...
//	err = d.Ack(ctx)                            // done; or d.Nack(ctx, delay)
//
//	err = m.Process(ctx, "orders", func(tx *table.Tx, got message.Message) error {
//		...                                     // rows, other messages
//	})                                          // all of it and the receipt: one transaction
//
// Files can be a part only of a transaction that file.FS.Update has begun, which takes the
// message by In: Tx.Take, or Tx.Ack of one that was received before.
//
//	_, err = files.Update(ctx, op, func(tx *table.Tx, f *file.Tx) error {
//		got, err := m.In(ctx, tx).Take("orders") // does not wait: ErrEmpty
//		...                                     // files by f, rows, other messages
//	})
//
// # Exactly once
//
// A message that is sent or taken inside a transaction (In, Process) is sent or
// taken if and only if that transaction commits. Send with an ID happens once,
// however often it is repeated within a day. Receive is at least once: a receiver
// that dies keeps its message for the lease, then another gets it. Its Ack carries
// the token of the lease, so that one who comes late changes nothing (ErrLost).
//
// # States of a message in a mailbox
//
//	             Send
//	  ┌───────────┼───────────────┐
//	  │ delay     │               │ an earlier one of its key is there
//	  ▼           ▼               ▼
//	delayed ──► ready ◄──────── blocked
//	  ▲  due      │ ▲   promote (the earlier one is gone)
//	  │      lease│ │ lease over (expire), Nack
//	  │           ▼ │
//	  └───────── leased ──Ack──► gone
//	 Nack, delay  │
//	              └─ too many deliveries ──► the dead-letter mailbox, or state dead
//
// Messages with the same Key in one mailbox are received in the order in which
// they were sent, one at a time; others in the order sent, as far as receivers and
// redelivery allow.
//
// # Waiting
//
// Nothing polls, and who waits has nothing registered below: the service is told by
// the engine of each transaction as it is committed (engine.Observer), and keeps in
// memory which messages are ready, or may be, per mailbox, and the last messages of topics
// that are read, for all readers together.
//
//	commit ──► Changed: desk of the mailbox (desk.go) ──► Committed: wakes the first
//	                    feed of the topic (feed.go)       who waits there; he has the
//	                                                      others woken, if there is more
//
// So a receiver takes a message in one procedure that reads it by its number, without
// a search, and one that finds nothing need not look before it waits. While a procedure
// runs, what is in memory is what it sees but for its own writes, which it looks through
// (first.go). In transactions of another kind, at first, and after a restore, the
// messages are read in order until one is ready. A timer for each mailbox at which
// somebody waits ends leases and delays.
//
// # Numbers and counts
//
// Messages of a mailbox are numbered in the order sent. The next number is in memory;
// os.mailbox_counts has one above it, written for every 64th message, so that after a
// restart some numbers are left out, and none is given away twice. How many messages a
// mailbox holds is counted where it has a limit; Holds tells it of all (number.go).
//
// # Durability
//
// By default Send returns when the message is there for others, before it is
// durable: a power cut takes message and what followed from it together. Who tells
// the outside world that a message was sent passes Durable.
//
// The package owns os.mailboxes, os.mailbox_counts, os.messages, os.message_ids,
// os.topics, os.publications and os.subscriptions. It may import dbms and package
// user. It guarantees what is said above of order and of how often, whatever fails
// between. It refuses messages beyond a mailbox's limits (ErrFull; SendWait waits for
// room), and bodies over MaxBody.
package message
