package main

import (
	"context"
	"flag"
	"os"
	"path/filepath"

	"github.com/tuplix/tuplix/cmd/tuplix/image"
)

// buildFlags are the flags that the commands which compile have in common.
type buildFlags struct {
	tags, ldflags, gcflags string
}

func (b *buildFlags) define(f *flag.FlagSet) {
	f.StringVar(&b.tags, "tags", "", "build `tags` for the go command, separated by commas")
	f.StringVar(&b.ldflags, "ldflags", "", "linker `flags`, such as '-X main.version=1.2'")
	f.StringVar(&b.gcflags, "gcflags", "", "compiler `flags`, such as 'all=-N -l'")
}

// options returns what to build from dir into output.
func (b *buildFlags) options(dir, output string) image.Options {
	return image.Options{Dir: dir, Output: output, Tags: b.tags, LDFlags: b.ldflags, GCFlags: b.gcflags}
}

func buildCommand() *command {
	return &command{
		name:  "build",
		args:  "[-o FILE] [flags] [DIR]",
		short: "make a bootable image of a Go program",
		long: `
Build makes one ELF file of the package main in DIR (default: the current
directory) and the system. The file boots in QEMU ("tuplix run" takes it),
Firecracker and Cloud Hypervisor, and runs as an ordinary Linux program too.
It is compressed; with -compress=false it is about four times as large and has
the symbols that a debugger wants, which hold for the compressed one as well.

DIR may be in any module, or outside one; nothing in it is changed. Where the
program and the system use different versions of a module, the newer one is
taken, as the go command does. The program must build with CGO_ENABLED=0 for
linux/amd64.`,
		run: runBuild,
	}
}

func runBuild(ctx context.Context, f *flag.FlagSet, args []string) (int, error) {
	var b buildFlags
	b.define(f)
	compress := f.Bool("compress", true, "compress the image, and leave its symbols out")
	output := f.String("o", "", "write the image to `file` (default: the directory's name with .elf)")
	if err := parseFlags(f, args); err != nil {
		return 0, err
	}
	if f.NArg() > 1 {
		return 0, usagef("one directory at a time; got %q", f.Args())
	}
	if *output == "" {
		abs, err := filepath.Abs(f.Arg(0))
		if err != nil {
			return 0, err
		}
		*output = filepath.Base(abs) + ".elf"
	}
	p := startProgress(os.Stderr, "building "+*output)
	o := b.options(f.Arg(0), *output)
	o.Plain = !*compress
	err := image.Build(ctx, o)
	p.stop()
	return 0, err
}
