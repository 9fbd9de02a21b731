/*
Shell is the console of a Tuplix machine, and an ordinary program on Linux.

	shell [flags]                 commands from the standard input
	shell [flags] file [arg...]   a script
	shell [flags] -c text [arg...]

On a terminal it prompts, edits lines, completes words and keeps a history; from
a pipe or a file it runs line by line what comes, with no word of its own. The
language is that of bash; the commands are part of the program: help lists them.

As the first process of a machine (or with -init) it also prints one line when
it is ready, with the addresses to try, serves a page about the machine on port
80, and runs /etc/rc if there is one. These environment variables tell it about
the outside:

	TUPLIX_FORWARDS  ports of the host that lead here: "8080:80,2222:22"
	TUPLIX_CONSOLE   "pipe" if it is a program that writes to the console

It owns the meeting of its parts: session (the language), command (the
commands), console (the terminal), status (the page). It may import those, the
standard library and public libraries, but nothing of Tuplix below it: what it
knows of the machine it asks as any Go program does. It guarantees that Ctrl-C
ends the command and never the shell, and that its exit status is that of the
last command. It refuses to start other programs, since there are none.
*/
package main
