package qemu

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// Accel says how the guest's instructions are to be executed.
type Accel string

// Ways to execute.
const (
	Auto Accel = ""    // KVM if a probe shows that it works, else TCG
	KVM  Accel = "kvm" // by the processor; needs /dev/kvm
	TCG  Accel = "tcg" // by translation; works everywhere
)

// ParseAccel reads "auto", "kvm" or "tcg".
func ParseAccel(s string) (Accel, error) {
	switch a := Accel(s); a {
	case KVM, TCG, Auto:
		return a, nil
	case "auto":
		return Auto, nil
	}
	return Auto, fmt.Errorf("unknown accelerator %q: use auto, kvm or tcg", s)
}

// Choice is a combination of accelerator and CPU model.
type Choice struct {
	Accel Accel
	CPU   string
}

// accelerator returns the value of -accel.
func (c Choice) accelerator(cpus int) string {
	if c.Accel == TCG && cpus > 1 {
		return "tcg,thread=multi"
	}
	return string(c.Accel)
}

// The guest of the probe; its source is probe/probe.asm.
//
//go:generate sh -c "as --64 -o probe/probe.o probe/probe.asm && ld -m elf_x86_64 -static -nostdlib -z noexecstack -z max-page-size=4096 --build-id=none -e start -Ttext=0x1000000 -s -o probe/probe.elf probe/probe.o && rm probe/probe.o"
//go:embed probe/probe.elf
var probeImage []byte

const (
	probeExit     = 0x10*2 + 1      // QEMU's exit status if the probe's guest is content
	probePatience = 2 * time.Second // a working KVM takes a tenth of that
)

// candidates are tried in this order. The host's own CPU model has everything
// the processor has, but some hosts refuse to set one of its registers.
var candidates = []Choice{{KVM, "host"}, {KVM, "max"}}

var fallback = Choice{TCG, "max"}

// choose decides how to execute. The result of the probe is remembered per
// boot of the host, since a host's KVM changes with its kernel and modules.
func (a Accel) choose(ctx context.Context, program string) (Choice, error) {
	if a == TCG {
		return fallback, nil
	}
	if !kvmAccessible() {
		if a == KVM {
			return Choice{}, errors.New("/dev/kvm cannot be opened: load the module kvm_intel or kvm_amd and give this user access, or use the accelerator tcg")
		}
		return fallback, nil
	}
	choice, err := remembered(ctx, program)
	if err != nil {
		return Choice{}, err
	}
	if a == KVM && choice.Accel != KVM {
		// The user insists: the probe's word is not law.
		return candidates[0], nil
	}
	return choice, nil
}

// kvmAccessible reports whether this user may use KVM at all.
func kvmAccessible() bool {
	f, err := os.OpenFile("/dev/kvm", os.O_RDWR|syscall.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	f.Close()
	return true
}

// remembered returns the probe's choice from the cache, or probes.
func remembered(ctx context.Context, program string) (Choice, error) {
	key, err := hostKey(program)
	if err != nil {
		return probe(ctx, program)
	}
	base, err := os.UserCacheDir()
	if err != nil {
		return probe(ctx, program)
	}
	path := filepath.Join(base, "tuplix", "accel.json")
	var note struct {
		Key    string
		Choice Choice
	}
	if data, err := os.ReadFile(path); err == nil && json.Unmarshal(data, &note) == nil && note.Key == key {
		return note.Choice, nil
	}
	note.Key = key
	if note.Choice, err = probe(ctx, program); err != nil {
		return Choice{}, err
	}
	data, err := json.Marshal(note)
	if err != nil {
		return Choice{}, err
	}
	// A cache that cannot be written costs a probe at the next start.
	if os.MkdirAll(filepath.Dir(path), 0o700) == nil {
		_ = os.WriteFile(path, data, 0o600)
	}
	return note.Choice, nil
}

// hostKey names this boot of this host and this QEMU.
func hostKey(program string) (string, error) {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", err
	}
	info, err := os.Stat(program)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s %s %d %d %x", bytes.TrimSpace(boot), program, info.Size(), info.ModTime().UnixNano(), len(probeImage)), nil
}

// probe boots the probe's guest with each candidate.
func probe(ctx context.Context, program string) (Choice, error) {
	f, err := os.CreateTemp("", "tuplix-probe-*.elf")
	if err != nil {
		return Choice{}, err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(probeImage)
	if err := errors.Join(err, f.Close()); err != nil {
		return Choice{}, err
	}
	for _, c := range candidates {
		if boots(ctx, program, f.Name(), c) {
			return c, nil
		}
	}
	return fallback, ctx.Err()
}

// boots reports whether the probe's guest runs to its end with c.
func boots(ctx context.Context, program, image string, c Choice) bool {
	ctx, cancel := context.WithTimeout(ctx, probePatience)
	defer cancel()
	cmd := exec.CommandContext(ctx, program,
		"-nodefaults", "-no-user-config", "-display", "none",
		"-machine", "q35", "-accel", string(c.Accel), "-cpu", c.CPU, "-m", "32",
		"-kernel", image, "-device", fmt.Sprintf("isa-debug-exit,iobase=%#x,iosize=0x01", exitPort))
	cmd.WaitDelay = time.Second
	// A guest that hangs must not outlive this process; see Machine.launch.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Run(); err == nil {
		return false // it powered off, which the guest does not do
	}
	return cmd.ProcessState != nil && cmd.ProcessState.ExitCode() == probeExit
}

// Describe tells in one line how guests are executed on this host.
func Describe(ctx context.Context) (string, error) {
	program, err := find()
	if err != nil {
		return "", err
	}
	c, err := Auto.choose(ctx, program)
	if err != nil {
		return "", err
	}
	return strings.ToUpper(string(c.Accel)) + ", CPU model " + c.CPU, nil
}
