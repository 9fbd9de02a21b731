package main

import (
	"regexp"
	"strconv"
	"testing"

	"github.com/tuplix/tuplix/cmd/tuplix/image/unpack"
	"github.com/tuplix/tuplix/qemu"
)

// A machine with less memory than its image needs is refused, and the memory that the
// refusal names is enough.
func TestCheckMemory(t *testing.T) {
	c := qemu.Config{Image: "../../qemu/testdata/echo.elf", Machine: qemu.Q35, Memory: unpack.FirmwareArea >> 20}
	err := checkMemory(&c)
	if err == nil {
		t.Fatal("the firmware's area is all there is, and an image fits")
	}
	named := regexp.MustCompile(`-m (\d+)M`).FindStringSubmatch(err.Error())
	if named == nil {
		t.Fatalf("%q does not say what to do", err)
	}
	c.Memory, _ = strconv.Atoi(named[1])
	if err := checkMemory(&c); err != nil {
		t.Error(err)
	}
	c.Memory--
	if checkMemory(&c) == nil {
		t.Errorf("%d MiB are enough, and %s are asked for", c.Memory, named[1])
	}
	if c.Machine = qemu.MicroVM; checkMemory(&c) != nil {
		t.Error("the microvm's firmware takes nothing")
	}
	if checkMemory(&qemu.Config{Image: "memory.go"}) != nil {
		t.Error("a file that is no image is for QEMU to refuse")
	}
}
