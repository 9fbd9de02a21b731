// Command tuplix builds, runs and tests Go programs as operating systems of
// their own.
//
//	tuplix build -o app.elf DIR
//	tuplix help
//
// # Owns
//
// The command line: flags, messages, progress and exit statuses. A program's
// exit status is the tool's; 1 is a failure of the tool, 2 a wrong command
// line.
//
// # May import
//
// The standard library, golang.org/x/term, the host-side packages
// cmd/tuplix/image, which makes images, and qemu, which runs them, and for the
// keys of disks dbms/blockcrypt and dbms/blockdev.
//
// # Guarantees
//
// Nothing outside the user's cache directory and the named output and disk
// files is written. A machine never outlives the tool that started it. Keys of
// disks are on no command line, in no file that was not named, and in no log.
//
// # Refuses
//
// To start what it cannot end, and to guess: a wrong command line gets one
// line that says what is wrong and one that says what is right.
package main
