// Command hello is a small web server, and an ordinary one: it imports nothing
// but the standard library and runs wherever Go programs run. It shows, and
// tests, that such a program boots as it is.
//
//	hello [-addr ADDRESS] [-dir DIRECTORY] [-exit STATUS] [ARGUMENTS]
//
//	GET  /         a greeting, with the number of greetings ever given, which
//	               is kept in a file
//	GET  /payload  1 KB of text, always the same
//	GET  /file     the contents of a file
//	PUT  /file     replaces them
//	GET  /env      the arguments and the environment, one a line
//
// With -exit it serves nothing and ends with that status.
//
// # Owns
//
// The files "greetings" and "file" in its directory.
//
// # May import
//
// The standard library only: nothing here knows of Tuplix.
//
// # Guarantees
//
// A greeting that was answered is counted, also after a crash: the count is
// synced to the disk before the answer.
//
// # Refuses
//
// Files of more than 1 MB.
package main
