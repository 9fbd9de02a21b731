package qemu

import (
	"context"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tuplix/tuplix/cmd/tuplix/image"
)

const tamagoPath = "github.com/usbarmory/tamago/"

// tamagoBoards maps the build tag by which testdata/tamago takes a board to the
// board's package.
var tamagoBoards = map[string]string{
	"cloud_hypervisor_vm": "board/cloud_hypervisor/vm",
	"firecracker_microvm": "board/firecracker/microvm",
	"google_gcp":          "board/google/gcp",
	"qemu_microvm":        "board/qemu/microvm",
}

// TestTamaGo links all of TamaGo's amd64 packages with each of its boards in
// turn, because two boards define the same hooks, and boots the result: the
// board must not have set itself up, the contract must mean what TamaGo expects,
// and TamaGo's PCI driver must list the same bus as ours.
func TestTamaGo(t *testing.T) {
	needQEMU(t)
	script := readScript(t, "testdata/tamago/tamago.script")
	images := t.TempDir()
	build := func(tag string) (string, error) {
		path := filepath.Join(images, tag)
		o := image.Options{Dir: "testdata/tamago", Output: path, Tags: tag}
		return path, image.Build(context.Background(), o)
	}
	boards := slices.Sorted(maps.Keys(tamagoBoards))
	if testing.Short() {
		boards = boards[:1]
	}
	for _, board := range boards {
		t.Run(board, func(t *testing.T) {
			r := &Runner{
				Dir:   t.TempDir(),
				Build: func(string) (string, error) { return build(board) },
				Base: Config{Extra: []string{
					"-device", "pcie-root-port,id=root,chassis=1,slot=1", // a bus behind a bridge
					"-device", "virtio-rng-pci,disable-legacy=on,bus=root",
					"-device", "virtio-serial-pci,disable-legacy=on",
					"-device", "virtio-balloon-pci,disable-legacy=on",
				}},
			}
			if err := r.Run(context.Background(), script); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestTamaGoComplete sees that testdata/tamago leaves out no amd64 package of the
// TamaGo in go.mod: of those below these paths, and of the boards that are
// built on its package amd64.
func TestTamaGoComplete(t *testing.T) {
	linked := make(map[string]bool)
	for tag := range tamagoBoards {
		for _, p := range list(t, "-deps", "-tags", "tuplix,"+tag, "./testdata/tamago") {
			linked[strings.Fields(p)[0]] = true
		}
	}
	var want []string
	for _, dir := range []string{"amd64", "bits", "dma", "kvm", "soc/intel"} {
		want = append(want, list(t, tamagoPath+dir+"/...")...)
	}
	boards := slices.DeleteFunc(list(t, tamagoPath+"board/..."), func(p string) bool {
		return !slices.Contains(strings.Fields(p)[1:], tamagoPath+"amd64")
	})
	if len(want) < 13 || len(boards) != len(tamagoBoards) {
		t.Errorf("TamaGo has %d packages and the boards %q", len(want), boards)
	}
	for _, p := range append(want, boards...) {
		if path := strings.Fields(p)[0]; !linked[path] {
			t.Errorf("%s is not linked", path)
		}
	}
}

// list returns a line for each package: its path, and those that it imports. The
// packages need not build, as TamaGo's do not without an image's overlay.
func list(t *testing.T, args ...string) []string {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-e", "-f", "{{.ImportPath}} {{join .Imports \" \"}}"}, args...)...)
	cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH=amd64", "CGO_ENABLED=0")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(out)), "\n")
}
