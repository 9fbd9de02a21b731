// Package writelog reads the write logs of dm-log-writes and of QEMU's
// blklogwrites driver, and replays them to every state in which a disk may be
// found after a power cut.
//
// It owns the format and the choice of states. It imports dbms/blockdev and
// dbms/blockdev/crash, and knows nothing of what is on the disk: a callback
// judges each state. It guarantees to read no more than the log's own length
// says and to refuse a log that makes no sense, and one seed gives one sequence of
// states.
package writelog
