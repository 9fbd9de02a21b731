/*
Package files owns the shell's commands about files and directories: ls, cp, mv,
rm, find, ln, stat, du, tar, gzip and their like, and those of u-root that fit as
they are (cat, chmod, mkdir, mktemp, touch).

It may import the frame (package command), u-root's pkg/core, the standard
library and golang.org/x/sys/unix.

It guarantees that names are resolved against the directory of the call and
printed as the user gave them, that errors about one name do not hide the
others, and that a command which walks a tree stops when it is cancelled.

It refuses to unpack an archive member outside of the directory it unpacks
into: every name of an archive goes through os.Root.
*/
package files
