/*
Package console is the people's end of the shell: it gets lines from a terminal,
a pipe or a serial line and tells a running command that Ctrl-C was pressed.

It owns line editing (by golang.org/x/term), completion, the history and its
file, the interruption of commands, and what a terminal does that is at the other
end of a connection (Remote).

It may import golang.org/x/term, golang.org/x/sys/unix and the standard library.
It knows nothing of commands: what to complete is told by whoever uses it.

It guarantees that it never reads more than the line it returns, so that the
rest is there for the commands; that the terminal is in its own mode again while
a command runs; and that a terminal that does not know its size, such as a
serial line, counts as 80 by 24.

It refuses to use a terminal database: the sequences are those of the VT100,
which every terminal in use understands.
*/
package console
