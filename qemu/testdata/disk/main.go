// Disk is the program with which package qemu tests the disk and the files on
// it. It is an ordinary program that uses package os. Its first argument says
// what to do; see modes.
package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"syscall"
)

// Exit statuses, besides 0.
const (
	statusError = 3  // the disk did not do as asked, and the program noticed
	statusWrong = 4  // it read what was never written
	statusUsage = 99 // it was called wrongly
)

var modes = map[string]func(args []int) error{
	"work":   work,   // SEED WORKERS OPERATIONS STEP: see package qemu/internal/workload
	"fill":   fill,   // FILES KIB: writes files of a known content
	"read":   read,   // FILES KIB: reads them
	"remove": remove, // FILES KIB: fills, and removes all at a line of input
	"full":   full,   // KIB: writes until the disk is full, and recovers
	"random": random, // BYTES: reads the random number device
}

func main() {
	mode, args, err := parse(os.Args[1:])
	if err != nil {
		fmt.Println(err)
		os.Exit(statusUsage)
	}
	if err := mode(args); err != nil {
		fmt.Printf("failed %s: %v\n", name(err), err)
		os.Exit(statusError)
	}
	fmt.Println("done")
}

func parse(words []string) (func([]int) error, []int, error) {
	if len(words) == 0 || modes[words[0]] == nil {
		return nil, nil, fmt.Errorf("there is no mode %q", words)
	}
	args := make([]int, 4)
	for i, w := range words[1:] {
		n, err := strconv.Atoi(w)
		if err != nil || i >= len(args) {
			return nil, nil, fmt.Errorf("argument %q", w)
		}
		args[i] = n
	}
	return modes[words[0]], args, nil
}

// name tells which errno package os gave.
func name(err error) string {
	for _, known := range []struct {
		errno syscall.Errno
		name  string
	}{{syscall.EIO, "EIO"}, {syscall.ENOSPC, "ENOSPC"}, {syscall.EROFS, "EROFS"}} {
		if errors.Is(err, known.errno) {
			return known.name
		}
	}
	return "other"
}
