package qemu

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The network of TestTap: the host's end of the tap, and the guest.
const (
	tapName  = "tap0"
	tapHost  = "10.99.0.1"
	tapGuest = "10.99.0.2"
	tapBytes = 50 << 20
	tapMTU   = 1500
)

// TestTap moves bytes through a tap interface, which takes large TCP segments and
// gives them: the kernel of the host does the segmentation that QEMU's user-mode
// network leaves undone. The test runs in a network namespace of its own.
func TestTap(t *testing.T) {
	needQEMU(t)
	if os.Getenv("QEMU_TEST_TAP") != "" {
		inNamespace(t)
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestTap$", "-test.v")
	cmd.Env = append(os.Environ(), "QEMU_TEST_TAP=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if os.Getuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	out, err := cmd.CombinedOutput()
	var failed *exec.ExitError
	if err != nil && !errors.As(err, &failed) {
		t.Skipf(notTested+"no network namespace may be made here: %v", err)
	}
	t.Logf("%s", out)
	if err != nil {
		t.Fatal(err)
	}
	if reason := skipReason(out); reason != "" {
		t.Skip(reason)
	}
}

// inNamespace is TestTap in the namespace.
func inNamespace(t *testing.T) {
	if err := makeTap(); err != nil {
		t.Skipf("%sno tap interface can be made here: %v", notTested, err)
	}
	watch, err := watchTap()
	if err != nil {
		t.Fatal(err)
	}
	config := Config{Network: Network{Tap: tapName}, Memory: 256}
	config.Line.Set("ip", tapGuest+"/24,gw="+tapHost)
	g := boot(t, "qemu/testdata/bulk", config)
	g.expect(t, "^bulk: listening")

	start := time.Now()
	tapReceive(t)
	sent := g.expect(t, `^bulk: (\d+) (\d+) (\d+) (\d+)\r?$`)
	t.Logf("from the guest: %v, its card counts %s bytes in %s frames", time.Since(start), sent[3], sent[4])
	start = time.Now()
	tapSend(t)
	got := g.expect(t, `^bulk: (\d+) (\d+) (\d+) (\d+)\r?$`)
	t.Logf("to the guest: %v, its card counts %s bytes in %s frames", time.Since(start), got[1], got[2])

	in, out := watch()
	t.Logf("seen from the guest: %+v, to it: %+v", in, out)
	for name, d := range map[string]direction{"from the guest": in, "to the guest": out} {
		if d.largest <= 4*tapMTU || d.large < 100 {
			t.Errorf("%s: %d large frames, the largest of %d bytes", name, d.large, d.largest)
		}
	}
	if frames := atoi(sent[4]); frames == 0 || frames > tapBytes/(4*tapMTU) {
		t.Errorf("the guest sent %d frames for %d bytes", frames, tapBytes)
	}
	if frames := atoi(got[2]) - atoi(sent[2]); frames <= 0 || frames > tapBytes/(4*tapMTU) {
		t.Errorf("the guest received %d frames for %d bytes", frames, tapBytes)
	}
}

// tapReceive takes bytes from the guest and compares them.
func tapReceive(t *testing.T) {
	t.Helper()
	c := dialGuest(t)
	defer c.Close()
	if _, err := c.Write(binary.BigEndian.AppendUint64([]byte{'s'}, tapBytes)); err != nil {
		t.Fatal(err)
	}
	h := sha256.New()
	if n, err := io.Copy(h, c); err != nil || n != tapBytes {
		t.Fatalf("%d bytes from the guest: %v", n, err)
	}
	if [32]byte(h.Sum(nil)) != tapSum(t, io.Discard) {
		t.Error("the guest's bytes arrived changed")
	}
}

// tapSend gives bytes to the guest, which tells their sum.
func tapSend(t *testing.T) {
	t.Helper()
	c := dialGuest(t)
	defer c.Close()
	if _, err := c.Write([]byte{'r'}); err != nil {
		t.Fatal(err)
	}
	want := tapSum(t, c)
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	var got [32]byte
	if _, err := io.ReadFull(c, got[:]); err != nil {
		t.Fatal(err)
	}
	if got != want {
		t.Error("the guest received changed bytes")
	}
}

// tapSum writes the stream that both know, and returns its sum.
func tapSum(t *testing.T, w io.Writer) [32]byte {
	t.Helper()
	h := sha256.New()
	if _, err := io.CopyN(io.MultiWriter(w, h), rand.NewChaCha8([32]byte{1}), tapBytes); err != nil {
		t.Fatal(err)
	}
	return [32]byte(h.Sum(nil))
}

func dialGuest(t *testing.T) net.Conn {
	t.Helper()
	c, err := net.DialTimeout("tcp", tapGuest+":7", patience)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.SetDeadline(time.Now().Add(2 * patience)); err != nil {
		t.Fatal(err)
	}
	return c
}

// direction is what was seen of the frames one way.
type direction struct{ frames, large, largest int }

func (d *direction) add(size int) {
	d.frames++
	d.largest = max(d.largest, size)
	if size > tapMTU {
		d.large++
	}
}

// watchTap counts the frames on the tap until the function is called. Sizes are
// those of IP packets, as they leave the guest's card or are handed to it.
func watchTap() (func() (in, out direction), error) {
	tap, err := net.InterfaceByName(tapName)
	if err != nil {
		return nil, err
	}
	const all = unix.ETH_P_ALL>>8 | unix.ETH_P_ALL<<8&0xff00 // in network byte order
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, all)
	if err != nil {
		return nil, err
	}
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: tap.Index}); err != nil {
		return nil, err
	}
	// The reader looks whether it is to end whenever nothing came for so long.
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 100_000}); err != nil {
		return nil, err
	}
	var in, out direction
	stop := make(chan struct{})
	var reader sync.WaitGroup
	reader.Go(func() {
		for {
			n, from, err := unix.Recvfrom(fd, nil, unix.MSG_TRUNC)
			if link, ok := from.(*unix.SockaddrLinklayer); err == nil && ok {
				if link.Pkttype == unix.PACKET_OUTGOING {
					out.add(n)
				} else {
					in.add(n)
				}
				continue
			}
			select {
			case <-stop:
				return
			default:
			}
		}
	})
	return func() (direction, direction) {
		close(stop)
		reader.Wait()
		unix.Close(fd)
		return in, out
	}, nil
}
