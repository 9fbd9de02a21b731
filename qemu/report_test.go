package qemu

import (
	"context"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/tuplix/tuplix/cmd/tuplix/image"
)

// TestReport has machines that do not end by themselves report what they are at, and
// end with the status of a panic.
func TestReport(t *testing.T) {
	needQEMU(t)
	file := filepath.Join(t.TempDir(), "metal.elf")
	if err := image.Build(t.Context(), image.Options{Dir: "testdata/metal", Output: file}); err != nil {
		t.Fatal(err)
	}
	for _, how := range []string{"waiting", "busy", "calling"} {
		t.Run(how, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), metalDeadline)
			defer cancel()
			c := Config{Image: file, Memory: 64, CPUs: 2, Accel: TCG}
			c.Network.None = true
			c.Line.Set("quiet", "")
			c.Line.Args = []string{"stay:" + how}
			console := NewConsole()
			m, err := Start(ctx, c, console)
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				m.Kill()
				<-m.Done()
				if t.Failed() {
					t.Logf("console:\n%s", console.Text())
				}
			}()
			expect := func(want string) {
				if _, err := console.Expect(regexp.MustCompile(want), m.Done(), metalDeadline); err != nil {
					t.Fatal(err)
				}
			}
			expect("it stays, " + how)
			if err := m.Report(); err != nil {
				t.Fatal(err)
			}
			expect(`kernel panic: non-maskable interrupt`)
			expect(`main\.stay\.func\d+`)
			exit, err := m.Wait()
			if err != nil || exit.Killed || !exit.Reported || exit.Status != 2 {
				t.Errorf("%+v, %v", exit, err)
			}
		})
	}
}
