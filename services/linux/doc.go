// Package linux serves the Linux system calls that concern state: files,
// descriptors, pipes, terminals, sockets, names and limits. The kernel
// package keeps those of the runtime (threads, memory, signals, epoll) and
// hands the others here.
//
// What it owns: the table of descriptors and the open file descriptions
// behind them, mappings of files, and watches (inotify); the walk of paths over the file service and over /proc and
// /sys; waiting, which is done in one place (openFile.again) for everything
// that can block; record locks and flock; pipes.
//
// What it may import: services/file, services/user and packages below. The kernel, the
// machine's figures, the console and the network come in by small interfaces
// in Config, so that all of it runs and is tested on a Linux host.
//
// What it guarantees: System.Call may run on any number of goroutines at
// once and needs no thread of its own. It answers with the errno that Linux
// gives; a differential test holds it against the host's kernel. Nothing is
// allocated by read, write, pread, pwrite, lseek, fstat and close of files.
//
// Shared mappings of a file are coherent with read and write, and with each
// other (docs/decisions/0031); a private one is a copy, made at mmap.
//
// What it refuses: fork, execve and ptrace are ENOSYS; a mapping of a
// file is never executable; there is one process, number 1, whose user is 0: files
// have no other owner. What callers may do who are not root (user.Do) is asked
// of Config.Rights, by the paths of what a call's path leads to. SIGPIPE is never raised: EPIPE is all
// that a writer to a closed pipe gets. Access times are not kept up.
//
// Order of locks: mappings.mu, then table.mu, then openFile.position, then what descriptions
// lock inside, then watches.mu and inotify.mu, which the file service's locks come before,
// then openFile.poll.mu, then the kernel's.
package linux
