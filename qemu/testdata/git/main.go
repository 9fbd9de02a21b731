// Git keeps files in a repository by go-git, as programs do on a system that starts no
// other process: it commits them, opens the repository anew, packs it and clones it, and
// fails where history or files are not what was committed.
package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/transport/client"
	"github.com/go-git/go-git/v5/plumbing/transport/server"
)

func main() {
	if err := run(); err != nil {
		fmt.Println("failed:", err)
		os.Exit(1)
	}
	fmt.Println("done")
}

// files are what each commit leaves, by name.
var files = []map[string]string{
	{"note": "one\n", "dir/long": strings.Repeat("line\n", 10_000)},
	{"note": "two\n", "dir/long": strings.Repeat("line\n", 10_000)},
	{"dir/long": strings.Repeat("line\n", 10_000) + "end\n", "dir/new": ""},
}

func run() error {
	dir, err := os.MkdirTemp("", "git")
	if err != nil {
		return err
	}
	first, second := filepath.Join(dir, "first"), filepath.Join(dir, "second")
	r, err := git.PlainInit(first, false)
	if err != nil {
		return err
	}
	for n := range files {
		if err := commit(r, first, n); err != nil {
			return fmt.Errorf("commit %d: %w", n, err)
		}
	}
	if r, err = git.PlainOpen(first); err != nil {
		return err
	}
	if err := check(r, first); err != nil {
		return fmt.Errorf("opened anew: %w", err)
	}
	if err := r.RepackObjects(&git.RepackConfig{}); err != nil {
		return err
	}
	if err := check(r, first); err != nil {
		return fmt.Errorf("packed: %w", err)
	}
	client.InstallProtocol("file", server.DefaultServer) // in place of one that starts git
	if r, err = git.PlainClone(second, false, &git.CloneOptions{URL: filepath.Join(first, ".git")}); err != nil {
		return err
	}
	if err := check(r, second); err != nil {
		return fmt.Errorf("cloned: %w", err)
	}
	return os.RemoveAll(dir)
}

// commit makes the working tree what files[n] says, and a commit of that.
func commit(r *git.Repository, dir string, n int) error {
	w, err := r.Worktree()
	if err != nil {
		return err
	}
	have, err := tree(dir)
	if err != nil {
		return err
	}
	for name := range have {
		if _, ok := files[n][name]; !ok {
			if _, err := w.Remove(name); err != nil {
				return err
			}
		}
	}
	for name, text := range files[n] {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
			return err
		}
		if _, err := w.Add(name); err != nil {
			return err
		}
	}
	_, err = w.Commit(fmt.Sprint(n), &git.CommitOptions{Author: &object.Signature{Name: "me", Email: "me@home", When: time.Now()}})
	return err
}

// check returns what is wrong with a repository that has all commits.
func check(r *git.Repository, dir string) error {
	w, err := r.Worktree()
	if err != nil {
		return err
	}
	status, err := w.Status()
	if err != nil || !status.IsClean() {
		return fmt.Errorf("the working tree differs: %v, %w", status, err)
	}
	have, err := tree(dir)
	if err != nil || !maps.Equal(have, files[len(files)-1]) {
		return fmt.Errorf("%d files, not those of the last commit: %w", len(have), err)
	}
	log, err := r.Log(&git.LogOptions{})
	if err != nil {
		return err
	}
	n := len(files)
	err = log.ForEach(func(c *object.Commit) error { // the last comes first
		n--
		return checkCommit(c, n)
	})
	if err == nil && n != 0 {
		err = fmt.Errorf("%d commits are missing", n)
	}
	return err
}

func checkCommit(c *object.Commit, n int) error {
	if n < 0 || c.Message != fmt.Sprint(n) {
		return fmt.Errorf("commit %q in place of %d", c.Message, n)
	}
	list, err := c.Files()
	if err != nil {
		return err
	}
	have := map[string]string{}
	err = list.ForEach(func(f *object.File) error {
		text, err := f.Contents()
		have[f.Name] = text
		return err
	})
	if err == nil && !maps.Equal(have, files[n]) {
		err = fmt.Errorf("commit %d has %d files, not those it was made of", n, len(have))
	}
	return err
}

// tree reads the files of a working tree, by name.
func tree(dir string) (map[string]string, error) {
	have := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.Name() == ".git":
			return filepath.SkipDir
		case d.IsDir():
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		have[filepath.ToSlash(name)] = string(text)
		return err
	})
	return have, err
}
