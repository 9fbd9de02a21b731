package message

import (
	"time"

	"github.com/tuplix/tuplix/dbms/table"
)

// Limits.
const (
	MaxBody    = 256 << 10          // bytes of one message
	MaxKey     = 1 << 10            // bytes of a Key, an ID or a name
	KeepIDs    = 24 * time.Hour     // for how long an ID of Send is remembered
	MaxLease   = 7 * 24 * time.Hour // of a receiver
	ShortLease = time.Millisecond
)

// Mailbox is a place where messages wait, each for one receiver.
type Mailbox struct {
	Name       string        `table:"key"` // by which it is addressed
	Owner      string        // the user who made it
	Limit      int64         // how many messages it holds; 0: any number
	Bytes      int64         // how many bytes of bodies it holds; 0: any number
	Lease      time.Duration // how long a receiver has a message until another may
	Deliveries int64         // after so many without an Ack a message is dead; 0: never
	Dead       string        // the mailbox for dead messages; "": they stay, in state dead
	Keep       time.Duration // a message that nobody received for so long is dead; 0: never
}

// Count is what a mailbox with a limit holds, and where its numbers stand.
type Count struct {
	Mailbox  string `table:"key"` // its name
	Next     uint64 // no message has had this number, or a higher one; those before may have gaps
	Token    uint64 // of the last lease
	Messages int64  // that are there, in any state; -1: not counted, as there is no limit
	Bytes    int64  // of their bodies; -1: not counted
}

// uncounted is Count.Messages and Bytes of a mailbox without a limit.
const uncounted = -1

// State is where a message is in its life.
type State string

// The states.
const (
	Ready   State = "ready"   // may be received
	Leased  State = "leased"  // a receiver has it until due
	Delayed State = "delayed" // becomes ready when due
	Blocked State = "blocked" // waits for an earlier one of its key
	Dead    State = "dead"    // nobody will get it; for people to look at
)

// Message is a message in a mailbox.
type Message struct {
	Mailbox    string            `table:"key"` // where it is
	Number     uint64            `table:"key"` // in the order sent
	State      State             // ready, leased, delayed, blocked, dead
	Key        string            // messages of one key are received in order; "": any order
	Body       []byte            // the content
	Headers    map[string]string `table:"json"` // about it
	User       string            // who sent it
	Task       string            // in which task
	Sent       time.Time         // when
	Due        time.Time         // when the lease or the delay ends
	Token      uint64            // of the lease, or of the last one
	Deliveries int64             // how often it was given to a receiver
}

// Sent remembers the ID of a Send.
type Sent struct {
	Mailbox string    `table:"key"` // to which it went
	ID      string    `table:"key"` // as the sender gave it
	Number  uint64    // of the message
	At      time.Time // when
}

// Topic is a place where messages are kept for all subscribers.
type Topic struct {
	Name  string        `table:"key"` // by which it is addressed
	Owner string        // the user who made it
	Keep  time.Duration // how long messages are kept; 0: for ever
	Limit int64         // how many are kept; 0: any number
	Next  uint64        // offset of the next message
}

// Publication is a message of a topic.
type Publication struct {
	Topic   string            `table:"key"` // where it is
	Offset  uint64            `table:"key"` // in the order published, from 1
	Key     string            // what it is about
	Body    []byte            // the content
	Headers map[string]string `table:"json"` // about it
	User    string            // who published it
	Task    string            // in which task
	At      time.Time         // when
}

// Subscription is a reader of a topic who comes back.
type Subscription struct {
	Topic  string `table:"key"` // which
	Name   string `table:"key"` // of the subscription
	Owner  string // the user who made it
	Offset uint64 // of the last message that was acknowledged
	Token  uint64 // of the present reader; others are refused
}

// The tables.
var (
	Mailboxes = table.Declare[Mailbox]("os.mailboxes").Check("lease", "lease > '0s'")
	Counts    = table.Declare[Count]("os.mailbox_counts")
	Messages  = table.Declare[Message]("os.messages").Had("ready")
	due       = Messages.Index("due", "mailbox", "due").Where("state = 'leased' or state = 'delayed'")
	byKey     = Messages.Index("key", "mailbox", "key", "number").Where("key != '' and state != 'dead'")
	SentIDs   = table.Declare[Sent]("os.message_ids")
	sentAt    = SentIDs.Index("at", "at")

	Topics        = table.Declare[Topic]("os.topics")
	Publications  = table.Declare[Publication]("os.publications")
	Subscriptions = table.Declare[Subscription]("os.subscriptions").Cascade("topic", Topics, "topic")
)

// Tables returns the tables that the package owns.
func Tables() []table.Declared {
	return []table.Declared{Mailboxes, Counts, Messages, SentIDs, Topics, Publications, Subscriptions}
}
