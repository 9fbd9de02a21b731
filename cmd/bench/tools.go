package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strings"
)

// guestTools are this host's programs that the small measurements compare with.
var guestTools = []string{"find", "awk"}

var libraryPath = regexp.MustCompile(`(/\S+) \(0x`)

// addTools puts programs of this host into an archive, in /bin, with the libraries that
// they need.
func addTools(ctx context.Context, c *cpioWriter, tools []string) error {
	done := map[string]bool{}
	add := func(name, from string) error {
		data, err := os.ReadFile(from)
		if err == nil {
			addDirs(c, done, path.Dir(name))
			c.file(name, data)
		}
		return err
	}
	for _, tool := range tools {
		found, err := exec.LookPath(tool)
		if err != nil {
			return fmt.Errorf("the Linux peer needs %s of this host: %w", tool, err)
		}
		if found, err = filepath.EvalSymlinks(found); err != nil {
			return err
		}
		if err := add("bin/"+tool, found); err != nil {
			return err
		}
		libraries, err := output(ctx, "", "ldd", found)
		if err != nil {
			return err
		}
		for _, m := range libraryPath.FindAllStringSubmatch(libraries, -1) {
			name := strings.TrimPrefix(m[1], "/")
			if done[name] {
				continue
			}
			done[name] = true
			if err := add(name, m[1]); err != nil {
				return err
			}
		}
	}
	return nil
}

// addDirs makes a directory and those above it, once.
func addDirs(c *cpioWriter, done map[string]bool, dir string) {
	if dir == "." || done[dir] {
		return
	}
	addDirs(c, done, path.Dir(dir))
	done[dir] = true
	c.dir(dir)
}
