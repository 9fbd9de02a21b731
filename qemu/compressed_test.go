package qemu

import (
	"context"
	"encoding/binary"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/tuplix/tuplix/cmd/tuplix/image"
)

// TestPlainImage boots an image that is not compressed, as those of all other
// tests here are.
func TestPlainImage(t *testing.T) {
	needQEMU(t)
	c := Config{Image: helloImage(t, true)}
	c.Line.Args = []string{"-exit", "5"}
	machine, console := startHello(t, c)
	exit, err := machine.Wait()
	if err != nil || !exit.Reported || exit.Status != 5 {
		t.Errorf("it ended with %+v, %v\n%s", exit, err, console.Text())
	}
}

// TestDamagedImage boots compressed images that are not as they were made: they
// must say so, and stop.
func TestDamagedImage(t *testing.T) {
	needQEMU(t)
	good, err := os.ReadFile(helloImage(t, false))
	if err != nil {
		t.Fatal(err)
	}
	const payload = 4096 // its first chunk's length, and the chunk
	n := binary.LittleEndian.Uint32(good[payload:])
	for name, edit := range map[string]func(b []byte){
		"longer":  func(b []byte) { binary.LittleEndian.PutUint32(b, n+1) },
		"shorter": func(b []byte) { binary.LittleEndian.PutUint32(b, n-1) },
		"huge":    func(b []byte) { binary.LittleEndian.PutUint32(b, 1<<31) },
		"zeroes":  func(b []byte) { clear(b[4+n/2 : 4+n/2+1000]) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data := append([]byte(nil), good...)
			edit(data[payload:])
			c := Config{Image: filepath.Join(t.TempDir(), "image")}
			if err := os.WriteFile(c.Image, data, 0o600); err != nil {
				t.Fatal(err)
			}
			machine, console := startHello(t, c)
			if _, err := console.Expect(regexp.MustCompile(`(?m)^tuplix: the image is damaged, or memory under [0-9]+ MiB\r?$`), machine.Done(), metalDeadline); err != nil {
				t.Fatalf("%v\n%s", err, console.Text())
			}
			select {
			case <-machine.Done():
				t.Error("the machine ended")
			case <-time.After(time.Second):
			}
		})
	}
}

func helloImage(t *testing.T, plain bool) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "hello.elf")
	if err := image.Build(context.Background(), image.Options{Dir: "../apps/hello", Output: path, Plain: plain}); err != nil {
		t.Fatal(err)
	}
	return path
}

func startHello(t *testing.T, c Config) (*Machine, *Console) {
	t.Helper()
	c.Accel = TCG
	console := NewConsole()
	machine, err := Start(t.Context(), c, console)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		machine.Kill()
		<-machine.Done()
	})
	return machine, console
}
