package qemu

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"os"
	"testing"

	"github.com/tuplix/tuplix/dbms/blockcrypt"
	"github.com/tuplix/tuplix/dbms/blockdev"
)

// marker is what a guest writes, and nobody may find on its disk.
const marker = "MARKER-IN-THE-CLEAR"

// encryptedDisk makes one that "secret" opens.
func encryptedDisk(t *testing.T) (disk *Disk, recovery string) {
	t.Helper()
	disk = blankDisk(t, 64)
	dev, err := blockdev.OpenFile(disk.Path, 0, 512)
	if err != nil {
		t.Fatal(err)
	}
	cost := blockcrypt.Cost{Passes: 1, MemoryKiB: 16 << 10, Lanes: 1}
	recovery, err = blockcrypt.Format(dev, blockcrypt.Passphrase, []byte("secret"), cost)
	if err := errors.Join(err, dev.Close()); err != nil {
		t.Fatal(err)
	}
	return disk, recovery
}

// bootShell boots the shell with a disk and perhaps a key for it.
func bootShell(t *testing.T, disk *Disk, key string) guest {
	t.Helper()
	c := Config{Disk: disk, Network: Network{None: true}}
	c.Line.Env = []string{"TUPLIX_CONSOLE=pipe"}
	c.Line.Set("login", "none")
	if key != "" {
		c.Key = []byte(key)
	}
	return boot(t, "apps/shell", c)
}

// finish has the shell run a line and end.
func (g guest) finish(t *testing.T, line string) {
	t.Helper()
	g.say(t, line+"; exit 7")
	if code := g.status(t); code != 7 {
		t.Fatalf("exit status %d", code)
	}
}

// refused expects a reason, and that the machine ends.
func (g guest) refused(t *testing.T, reason string) {
	t.Helper()
	g.expect(t, reason)
	if code := g.status(t); code == 0 {
		t.Error("exit status 0")
	}
}

func sum(t *testing.T, disk *Disk) [32]byte {
	t.Helper()
	image, err := os.ReadFile(disk.Path)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(image, []byte(marker)) || bytes.Contains(image, []byte("secret")) {
		t.Error("the disk shows what is on it")
	}
	return sha256.Sum256(image)
}

// TestEncryptedDisk writes to an encrypted disk and opens it again, with the key,
// with the recovery key, by hand, and with keys that are not its own.
func TestEncryptedDisk(t *testing.T) {
	disk, recovery := encryptedDisk(t)
	bootShell(t, disk, "secret").finish(t, "echo "+marker+" > /a; sync")
	before := sum(t, disk)

	const advice = "does not open the device. nothing on it is changed: give the passphrase"
	bootShell(t, disk, "wrong").refused(t, advice)
	g := bootShell(t, disk, "")
	for range 3 {
		g.expect(t, "of the disk: $")
		g.say(t, "wrong")
	}
	g.refused(t, advice)
	if sum(t, disk) != before {
		t.Error("a wrong key changed the disk")
	}

	g = bootShell(t, disk, "")
	g.expect(t, "of the disk: $")
	g.say(t, "secret")
	g.say(t, "cat /a")
	g.expect(t, "^"+marker)
	g.finish(t, "echo typed > /b")
	if bytes.Contains([]byte(g.Text()), []byte("secret")) {
		t.Error("the console shows the passphrase")
	}

	g = bootShell(t, disk, recovery)
	g.say(t, "cat /a /b")
	g.expect(t, "^"+marker+"\r?\ntyped")
	g.finish(t, "dmesg; env")
	for _, secret := range []string{recovery, recovery[:9]} {
		if bytes.Contains([]byte(g.Text()), []byte(secret)) {
			t.Error("the console shows the recovery key")
		}
	}
	sum(t, disk)
}

// TestKeyOfPlainDisk: somebody has put another disk in its place.
func TestKeyOfPlainDisk(t *testing.T) {
	disk := blankDisk(t, 64)
	before := sum(t, disk)
	bootShell(t, disk, "secret").refused(t, "the disk is not encrypted. nothing on it is changed")
	if sum(t, disk) != before {
		t.Error("the disk changed")
	}
}

// TestEncryptedMicroVM: the device that hands over keys is there as well.
func TestEncryptedMicroVM(t *testing.T) {
	disk, _ := encryptedDisk(t)
	c := Config{Machine: MicroVM, Disk: disk, Network: Network{None: true}, Key: []byte("secret")}
	c.Line.Env = []string{"TUPLIX_CONSOLE=pipe"}
	c.Line.Set("login", "none")
	boot(t, "apps/shell", c).finish(t, "echo hi > /a")
}
