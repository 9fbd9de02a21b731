// Watch uses fsnotify, which stands on inotify and epoll, as programs do: it prints what
// it is told of a directory, and fails where that is not what was done.
package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/fsnotify/fsnotify"
)

func main() {
	if err := run(); err != nil {
		fmt.Println("failed:", err)
		os.Exit(1)
	}
	fmt.Println("done")
}

func run() error {
	dir, err := os.MkdirTemp("", "watch")
	if err != nil {
		return err
	}
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return err
	}
	if err := w.Add(dir); err != nil {
		return err
	}
	want := []string{
		"CREATE a", "WRITE a", "CHMOD a", "CREATE b", "RENAME a", "CREATE sub", "REMOVE b", "REMOVE sub",
	}
	name := func(s string) string { return dir + "/" + s }
	err = errors.Join(os.WriteFile(name("a"), []byte("text"), 0o644), os.Chmod(name("a"), 0o600),
		os.Rename(name("a"), name("b")), os.Mkdir(name("sub"), 0o755), os.Remove(name("b")), os.Remove(name("sub")))
	if err != nil {
		return err
	}
	slices.Sort(want) // the order within a rename is fsnotify's affair
	var got []string
	for len(got) < len(want) {
		select {
		case e := <-w.Events:
			fmt.Println(e.Op, e.Name[len(dir)+1:])
			got = append(got, e.Op.String()+" "+e.Name[len(dir)+1:])
		case err := <-w.Errors:
			return err
		case <-time.After(10 * time.Second):
			return fmt.Errorf("nothing comes after %q", got)
		}
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		return fmt.Errorf("%q, want %q", got, want)
	}
	return errors.Join(w.Close(), os.RemoveAll(dir))
}
