// Package transcript runs tests that are conversations: files of testdata in which
// lines that begin with "> " are commands, and what follows each is the answer.
//
// It owns the format, and the flag -update that writes the answers anew. It may
// import services/user, for whoever speaks, and is imported by tests. It guarantees that a
// file without a command fails, and that comments (lines with #) and empty lines
// stay where they are. It refuses nothing else: what a command means is the test's.
package transcript
