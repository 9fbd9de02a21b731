/*
Package status serves the shell image's one web page: which machine this is, how
long it has been up and how much memory is in use. It is there so that a machine
just started has an address to try.

It owns that page. It may import the system and files packages of the shell's
commands, for what they read from /proc, and the standard library.

It guarantees that the page is read-only and is made anew for each request, and
that a client which is slow or says nothing does not hold the server.

It refuses every method but GET and HEAD, and every path but the root. A fact
that the system does not give is left out of the page.
*/
package status
