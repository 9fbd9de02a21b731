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
80, runs /etc/rc if there is one, and has the services work from then on: what is
logged is kept, tasks start at their times, and users come by SSH where the
setting ssh.listen says. Who sits at the console has to log in, unless the boot's
command line has login=none. These environment variables tell it about the
outside:

	TUPLIX_FORWARDS  ports of the host that lead here: "8080:80,2222:22"
	TUPLIX_CONSOLE   "pipe" if it is a program that writes to the console

	seat.go     the console: logins, and the shell of who has
	remote.go   the shell of who came by SSH
	machine.go  the services, tasks of commands, and what callers may do

It owns the meeting of its parts: session (the language), command (the
commands), console (terminals), status (the page). It may import those, the
services, the standard library and public libraries; commands about files, text,
the machine and the network know nothing of Tuplix, and learn what they show as
any Go program does. It guarantees that Ctrl-C ends the command and never the
shell, that its exit status is that of the last command, and that nobody works
for another than who logged in. It refuses to start other programs, since there
are none.
*/
package main
