/*
Package command is the frame that the shell's commands run in.

It owns three things: what a command is (Command: a name, one line of help and
a function), what a command is given when it runs (Call: arguments, directory,
environment, streams, a way to run another command), and how its options are
read (Options). The commands themselves live in the packages below this one,
by subject: files, text, system, network and services.

It may import the standard library, golang.org/x/term and u-root's pkg/core,
whose commands Core adapts to this frame. It imports nothing of the kernel, the
drivers or the services: a command learns about the system as any Go program
does, but for those of package services.

It guarantees that a command runs inside the shell's process without seeing the
process: relative names are resolved against the directory of the call, the
environment is the one of the call, and reading or writing its streams fails as
soon as the context is cancelled, so that Ctrl-C ends the command and not the
shell. A panic in a command becomes its error.

It refuses unknown options and missing arguments with a message that says how
the command is used, and refuses to hold two commands under one name.
*/
package command
