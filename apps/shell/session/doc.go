/*
Package session runs the shell language over the shell's commands.

It owns the meeting of the two: the interpreter of mvdan.cc/sh for the language
(pipes, redirections, globs, variables, loops, functions, here-documents,
background jobs) and a command.Registry for the words that are neither functions
nor builtins. It also owns the commands that need the interpreter itself: sh,
which and help.

It may import the frame (package command), the words of package user for rights,
mvdan.cc/sh and the standard library.

It guarantees that a script is run line by line as it arrives, so that nothing
behind a line is read before the line has run; that no command starts another
process; and that cancelling the context of a line ends what the line runs in
the foreground, and nothing else. Jobs of earlier lines go on. A session of a user
who is not root runs only commands that check rights themselves, or for which the
user has the right to run the program; and it opens only files that the user may.

It refuses to run program files: programs are linked into an image. A name with
a slash is read as a script.
*/
package session
