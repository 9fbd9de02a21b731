package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// modules are what the peer's kernel needs beyond what is built in. Those they
// depend on are found in modules.dep.
var modules = []string{"virtio_pci", "virtio_mmio", "virtio_blk", "virtio_net", "virtio-rng"}

// linux is an unpacked kernel package.
type linux struct {
	kernel  string // vmlinuz file
	modules string // directory with modules.dep
}

// findLinux returns Debian's cloud kernel as installed on this host, or else
// the newest one of its package archive, unpacked in dir.
func findLinux(ctx context.Context, dir string) (linux, error) {
	if l, err := linuxIn("/"); err == nil {
		return l, nil
	}
	root := filepath.Join(dir, "linux")
	if l, err := linuxIn(root); err == nil {
		return l, nil
	}
	if err := os.MkdirAll(root, 0o755); err != nil {
		return linux{}, err
	}
	if err := downloadLinux(ctx, root); err != nil {
		return linux{}, fmt.Errorf("the Linux peer needs Debian's package linux-image-cloud-amd64, installed or to be fetched by apt-get: %w", err)
	}
	return linuxIn(root)
}

// linuxIn looks for a kernel and its modules below root.
func linuxIn(root string) (linux, error) {
	kernels, err := filepath.Glob(filepath.Join(root, "boot/vmlinuz-*-cloud-amd64"))
	if err != nil {
		return linux{}, err
	}
	slices.Sort(kernels)
	for _, k := range slices.Backward(kernels) {
		release := strings.TrimPrefix(filepath.Base(k), "vmlinuz-")
		for _, lib := range []string{"lib/modules", "usr/lib/modules"} {
			l := linux{k, filepath.Join(root, lib, release)}
			if _, err := os.Stat(filepath.Join(l.modules, "kernel")); err == nil {
				return l, nil
			}
		}
	}
	return linux{}, errors.New("no cloud kernel below " + root)
}

// downloadLinux fetches the package that linux-image-cloud-amd64 stands for and
// unpacks it without installing it.
func downloadLinux(ctx context.Context, root string) error {
	out, err := output(ctx, root, "apt-cache", "depends", "--no-recommends", "--no-suggests", "linux-image-cloud-amd64")
	if err != nil {
		return err
	}
	name := ""
	for _, line := range strings.Split(out, "\n") {
		if p, ok := strings.CutPrefix(strings.TrimSpace(line), "Depends: "); ok && strings.HasPrefix(p, "linux-image-") {
			name = p
		}
	}
	if name == "" {
		return errors.New("apt-cache does not know linux-image-cloud-amd64; run apt-get update first")
	}
	if _, err := output(ctx, root, "apt-get", "download", name); err != nil {
		return err
	}
	files, err := filepath.Glob(filepath.Join(root, "*.deb"))
	if err != nil || len(files) != 1 {
		return fmt.Errorf("apt-get left %d packages in %s", len(files), root)
	}
	if _, err := output(ctx, root, "dpkg", "-x", files[0], root); err != nil {
		return err
	}
	return os.Remove(files[0])
}

// output runs a command and returns what it prints.
func output(ctx context.Context, dir string, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", name, err, strings.TrimSpace(stderr.String()))
	}
	return string(out), nil
}

// initramfs writes the peer's initial file system: its init, the modules in
// the order in which they are to be loaded, the program as /app, and tools of this host in /bin.
func (l linux) initramfs(ctx context.Context, path, init, app string, tools []string) error {
	var buf bytes.Buffer
	c := &cpioWriter{out: &buf}
	for _, d := range []string{"dev", "proc", "sys", "data", "modules"} {
		c.dir(d)
	}
	for _, f := range []struct{ name, from string }{{"init", init}, {"app", app}} {
		data, err := os.ReadFile(f.from)
		if err != nil {
			return err
		}
		c.file(f.name, data)
	}
	if err := addTools(ctx, c, tools); err != nil {
		return err
	}
	order, err := l.order()
	if err != nil {
		return err
	}
	var names []string
	for _, m := range order {
		data, err := os.ReadFile(filepath.Join(l.modules, m))
		if err != nil {
			return err
		}
		names = append(names, filepath.Base(m))
		c.file("modules/"+filepath.Base(m), data)
	}
	c.file("modules/order", []byte(strings.Join(names, "\n")+"\n"))
	if err := c.close(); err != nil {
		return err
	}
	return os.WriteFile(path, buf.Bytes(), 0o644)
}

// order lists the files of the modules such that each comes after those it
// depends on.
func (l linux) order() ([]string, error) {
	deps, err := l.dependencies()
	if err != nil {
		return nil, err
	}
	var order []string
	for _, want := range modules {
		file, ok := deps.file[want]
		if !ok {
			return nil, fmt.Errorf("%s: no module %s", l.modules, want)
		}
		for _, f := range append(deps.needs[file], file) {
			if !slices.Contains(order, f) {
				order = append(order, f)
			}
		}
	}
	return order, nil
}

// dependencies is what modules.dep says.
type dependencies struct {
	file  map[string]string   // module name: file
	needs map[string][]string // file: files it depends on, in the order to load
}

func (l linux) dependencies() (*dependencies, error) {
	text, err := os.ReadFile(filepath.Join(l.modules, "modules.dep"))
	if errors.Is(err, os.ErrNotExist) {
		// A package that was only unpacked has none yet.
		base := strings.TrimSuffix(l.modules, "/lib/modules/"+filepath.Base(l.modules))
		if _, err := output(context.Background(), "", "depmod", "-b", base, filepath.Base(l.modules)); err != nil {
			return nil, err
		}
		text, err = os.ReadFile(filepath.Join(l.modules, "modules.dep"))
	}
	if err != nil {
		return nil, err
	}
	d := &dependencies{file: make(map[string]string), needs: make(map[string][]string)}
	for _, line := range strings.Split(string(text), "\n") {
		file, rest, ok := strings.Cut(line, ":")
		if !ok {
			continue
		}
		d.file[strings.TrimSuffix(filepath.Base(file), ".ko")] = file
		needs := strings.Fields(rest)
		slices.Reverse(needs) // modules.dep lists the ones to load first last
		d.needs[file] = needs
	}
	return d, nil
}
