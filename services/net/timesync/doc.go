// Package timesync keeps a clock right by time servers (NTP, RFC 5905, as a client).
//
//	servers ──ask all──► usable answers ──median offset──► more than StepAbove? step
//	   ▲                                                    less: slew, MaxSlew a second
//	   └──── after 64 s, later and later, up to 1024 s ◄────┘
//
// The messages are github.com/beevik/ntp's; what is here is when to ask, whom to
// believe and how to move the clock. With three servers or more one that lies is
// outvoted. A step changes the clock at once and is for the first answer and for
// clocks that were stopped; else time is made to run faster or slower by at most one
// part in 2,000, so that it never goes back.
//
// It owns nothing but its goroutine. It imports no package of Tuplix: the clock and the
// list of servers come in from outside. It guarantees that a clock is not touched
// without a valid answer to its own question, and that without servers nothing is done.
// It refuses answers that the library holds to be invalid, and those of servers that
// are not synchronized themselves.
package timesync
