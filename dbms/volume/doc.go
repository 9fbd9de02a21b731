// Package volume says on which volume a program keeps its state when it runs on
// a machine of Tuplix: the board provides it while it starts, before the program
// is initialised.
//
// It owns that one fact, and the list of what must be made durable before the
// machine ends. It imports Pebble's vfs, for the interface, and nothing of this
// module, so that a program without tables does not contain any. It guarantees
// that what was entered by AtExit runs once, in reverse order, when the program
// ends as programs do (a return from main, os.Exit, a panic) or the machine is
// switched off by command. It refuses to name a volume where there is none: an
// ordinary Linux process opens a file by board/host.
package volume
