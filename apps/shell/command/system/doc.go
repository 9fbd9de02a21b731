/*
Package system owns the shell's commands about the machine it runs on: free,
ps, uptime, dmesg, date, uname, sync, reboot, poweroff and their like.

It may import the frame (package command), the files package for its way to
show sizes, the standard library and golang.org/x/sys/unix. What it knows about
the system it reads where every Go program on Linux does: in /proc, through
sysinfo-like system calls, and from the Go runtime.

It guarantees that reboot and poweroff write what is unwritten before they end
the machine, and that they say what is missing where they are not allowed to.

It refuses to guess: a fact that the system does not give is said to be missing,
not shown as zero.
*/
package system
