package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"syscall"
	"time"
)

func path(file int) string { return fmt.Sprintf("/pattern%d", file) }

// pattern is the content of a file: it says where in which file it belongs.
func pattern(file, kib int) []byte {
	p := make([]byte, kib<<10)
	rng := rand.New(rand.NewPCG(uint64(file), 1))
	for i := 0; i < len(p); i += 8 {
		v := rng.Uint64()
		for j := range 8 {
			p[i+j] = byte(v >> (8 * j))
		}
	}
	return p
}

func put(file, kib int) error {
	f, err := os.Create(path(file))
	if err != nil {
		return err
	}
	if _, err = f.Write(pattern(file, kib)); err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

func fill(args []int) error {
	for file := range args[0] {
		if err := put(file, args[1]); err != nil {
			return err
		}
	}
	return nil
}

// remove fills the disk, removes what it wrote when told so, and goes on writing:
// space comes back as the store tidies up, which it does while it is written to.
func remove(args []int) error {
	if err := fill(args); err != nil {
		return err
	}
	in := bufio.NewScanner(os.Stdin)
	fmt.Println("filled")
	in.Scan()
	for file := range args[0] {
		if err := os.Remove(path(file)); err != nil {
			return err
		}
	}
	for range 16 {
		if err := put(0, args[1]); err != nil {
			return err
		}
	}
	fmt.Println("removed")
	in.Scan()
	return in.Err()
}

// read reads all files, twice: each must be right or an error.
func read(args []int) error {
	failed := 0
	for i := range 2 * args[0] {
		file := i % args[0]
		content, err := os.ReadFile(path(file))
		if err != nil {
			failed++
			fmt.Printf("reading %s: %v\n", name(err), err)
			continue
		}
		mustBe(file, content, args[1])
	}
	fmt.Printf("%d of %d failed\n", failed, 2*args[0])
	return nil
}

func mustBe(file int, content []byte, kib int) {
	if !bytes.Equal(content, pattern(file, kib)) {
		fmt.Println("WRONG", path(file))
		os.Exit(statusWrong)
	}
}

// full writes files until there is no room, sees that all of them are there,
// removes half of them and writes almost as many again: how much fits depends on
// how tidy the store is.
func full(args []int) error {
	const returned = 8 // files that there must be room for in the end
	kib, files := args[0], 0
	for file := range 1000 { // of the last time
		if err := os.Remove(path(file)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	files = 1
	err := putSoon(0, kib)
	for ; err == nil; files++ {
		// The space of what was there comes back in pieces.
		write := put
		if files < returned {
			write = putSoon
		}
		err = write(files, kib)
	}
	files--
	fmt.Printf("full after %d files: %s: %v\n", files, name(err), err)
	if !errors.Is(err, syscall.ENOSPC) || files < 2 {
		return err
	}
	if err := allThere(files, kib); err != nil {
		return err
	}
	for file := range files/2 + 1 {
		file = (files + file) % (files + 1) // first the one that was not finished
		if err := os.Remove(path(file)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("removing on a full disk: %w", err)
		}
	}
	for file := range files * 2 / 5 {
		if err := putSoon(file, kib); err != nil {
			return fmt.Errorf("file %d after half was removed: %w", file, err)
		}
	}
	fmt.Println("recovered")
	return allThere(files*2/5, kib)
}

func allThere(files, kib int) error {
	for file := range files {
		content, err := os.ReadFile(path(file))
		if err != nil {
			return fmt.Errorf("reading from a full disk: %w", err)
		}
		mustBe(file, content, kib)
	}
	fmt.Println("all there")
	return nil
}

// putSoon is put, but waits for the space of removed files, which comes back a
// little later.
func putSoon(file, kib int) error {
	for deadline := time.Now().Add(20 * time.Second); ; {
		err := put(file, kib)
		if !errors.Is(err, syscall.ENOSPC) || time.Now().After(deadline) {
			return err
		}
		time.Sleep(50 * time.Millisecond)
	}
}
