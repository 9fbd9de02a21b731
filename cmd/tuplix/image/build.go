package image

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// textAddress is where the image's code starts. The ELF headers take the page
// below it, so the file is loaded from 16 MB on: above what firmware and boot
// loaders use, and a multiple of the segment alignment.
//
// segmentAlign is the distance to which segments are rounded: 2 MB, so that
// code, constants and data never share a large page, and because loaders built
// on rust-vmm accept no less.
const (
	textAddress  = "0x1001000"
	segmentAlign = "0x200000"
)

// Options say what to build.
type Options struct {
	Dir     string    // directory of the main package, or its import path as seen from the current directory
	Output  string    // the image file to write
	Tags    string    // -tags of the go command, to which the image's own are added
	LDFlags string    // added to -ldflags of the go command
	GCFlags string    // -gcflags of the go command
	Plain   bool      // the linked file as it is, with its symbols, in place of a compressed image
	Log     io.Writer // gets what the go command prints, as it prints it; may be nil
}

// Build makes an image of a command. It blocks until the image is complete or
// ctx is done; on an error Output is untouched.
func Build(ctx context.Context, o Options) error {
	root, err := Root(ctx)
	if err != nil {
		return err
	}
	from, pattern, err := locate(o.Dir)
	if err != nil {
		return err
	}
	w, err := openWorkspace(ctx, root, from)
	if err != nil {
		return err
	}
	defer w.Close()
	p, err := w.findOne(ctx, pattern, o.flags())
	if err != nil {
		return err
	}
	if p.Name != "main" {
		return fmt.Errorf("%s is package %s, not a command: only a package main can be booted", p.ImportPath, p.Name)
	}
	if err := w.inject(p.Dir, "main", "zz_tuplix", ".go"); err != nil {
		return err
	}
	raw := filepath.Join(w.dir, "linked")
	args := append([]string{"build", "-o", raw}, o.linkFlags()...)
	return w.produce(ctx, o, args, []string{"-deps"}, p.ImportPath, raw)
}

// CachePath returns a file name in the user's cache for images of dir that are
// booted and not kept. Its directory exists.
func CachePath(dir string) (string, error) {
	from, pattern, err := locate(dir)
	if err != nil {
		return "", err
	}
	cache, err := cacheDir("run", from, pattern)
	return filepath.Join(cache, "image.elf"), err
}

// produce runs the go command that links raw, finds out meanwhile which
// packages are the system's, and writes the image.
func (w *workspace) produce(ctx context.Context, o Options, args, list []string, target, raw string) error {
	overlay, err := w.overlayFlag()
	if err != nil {
		return err
	}
	type result struct {
		closure map[string]bool
		err     error
	}
	found := make(chan result, 1)
	go func() {
		closure, err := w.closure(ctx, append(append(list, o.flags()...), overlay), target)
		found <- result{closure, err}
	}()
	err = goRun(ctx, w.from, w.env, o.Log, append(args, overlay, target)...)
	r := <-found
	if err != nil {
		return err
	}
	if r.err != nil {
		return r.err
	}
	return finish(raw, o.Output, r.closure, o.Plain)
}

// finish makes the linked file raw into the image output.
func finish(raw, output string, closure map[string]bool, plain bool) error {
	data, err := os.ReadFile(raw)
	if err != nil {
		return err
	}
	l, err := parse(data)
	if err != nil {
		return err
	}
	if err := l.systemFirst(closure); err != nil {
		return err
	}
	if err := l.disarmBoards(); err != nil {
		return err
	}
	l.trimZeroes()
	wrap := l.compress
	if plain {
		wrap = l.addNote
	}
	out, err := wrap()
	if err != nil {
		return err
	}
	return writeWhole(output, out, 0o755)
}

// flags are the options that select what is compiled.
func (o *Options) flags() []string {
	var flags []string
	if o.Tags != "" {
		flags = append(flags, "-tags="+joinTags(o.Tags))
	}
	return flags
}

// linkFlags are all options of a command that compiles and links.
func (o *Options) linkFlags() []string {
	ld := strings.TrimSpace("-T " + textAddress + " -R " + segmentAlign + " " + o.LDFlags)
	flags := append(o.flags(), "-ldflags="+ld)
	if o.GCFlags != "" {
		flags = append(flags, "-gcflags="+o.GCFlags)
	}
	return flags
}
