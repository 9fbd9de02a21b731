/*
Package network owns the shell's commands about the network: ip, ping, wget
and host.

It may import the frame (package command), the files and system packages for
their way to show sizes and durations, and the standard library. It speaks to
the network by package net and by ordinary ICMP sockets.

It guarantees that every wait for the network ends with the command's context,
and that a file being fetched has its final name only when it is whole.

It refuses to believe replies: an ICMP packet counts only if its type, number
and payload are those that were sent.
*/
package network
