/*
Package text owns the shell's commands that turn a stream of bytes or lines
into another: grep, head, tail, sort, uniq, wc, cut, tr, tee, hexdump, sha256sum
and their like.

It may import the frame (package command), u-root's pkg/core and the standard
library.

It guarantees that lines may be of any length (sort and tail hold what they
must in memory, the others hold one line), that a last line without a newline
is a line, and that input is read no further than the result needs, so that
"yes | head" ends.

It refuses patterns that Go's regexp package refuses, among them back
references: matching takes time linear in the input, whoever wrote the pattern.
*/
package text
