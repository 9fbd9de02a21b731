package host

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2"

	"github.com/tuplix/tuplix/dbms/blockcrypt"
	"github.com/tuplix/tuplix/dbms/blockfs"
)

const size = 32 << 20

var cheap = blockcrypt.Cost{Passes: 1, MemoryKiB: 8 << 10, Lanes: 1}

// quiet drops what Pebble logs.
type quiet struct{ pebble.Logger }

func (quiet) Infof(string, ...any) {}

// use opens the volume, has Pebble set a key, and returns what was there before.
func use(t *testing.T, path string, o Options, value string) (before string, err error) {
	t.Helper()
	v, err := OpenVolume(path, o)
	if err != nil {
		return "", err
	}
	db, err := pebble.Open("db", &pebble.Options{FS: v, Logger: quiet{pebble.DefaultLogger}})
	if err != nil {
		t.Fatal(err)
	}
	old, closer, err := db.Get([]byte("key"))
	if err == nil {
		before, err = string(old), closer.Close()
	}
	if err != nil && !errors.Is(err, pebble.ErrNotFound) {
		t.Fatal(err)
	}
	if err := errors.Join(db.Set([]byte("key"), []byte(value), pebble.Sync), db.Close(), v.Close()); err != nil {
		t.Fatal(err)
	}
	return before, nil
}

func TestKeeps(t *testing.T) {
	var recovery string
	encrypted := Options{Size: size, Key: []byte("secret"), Encrypt: &Encryption{
		Kind: blockcrypt.Passphrase, Cost: cheap, Recovery: func(key string) { recovery = key },
	}}
	for name, o := range map[string]Options{"plain": {Size: size}, "encrypted": encrypted} {
		path := filepath.Join(t.TempDir(), "disk")
		if before, err := use(t, path, o, "MARKER one"); err != nil || before != "" {
			t.Fatalf("%s: %q, %v", name, before, err)
		}
		if before, err := use(t, path, o, "MARKER two"); err != nil || before != "MARKER one" {
			t.Fatalf("%s: %q, %v", name, before, err)
		}
		image, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if shows := bytes.Contains(image, []byte("MARKER")); shows != (o.Key == nil) {
			t.Errorf("%s: the file shows what is in it: %v", name, shows)
		}
		if o.Key == nil {
			continue
		}
		if before, err := use(t, path, Options{Key: []byte(recovery)}, ""); err != nil || before != "MARKER two" {
			t.Errorf("by the recovery key: %q, %v", before, err)
		}
	}
	if before, err := use(t, Memory, encrypted, "x"); err != nil || before != "" {
		t.Errorf("in memory: %q, %v", before, err)
	}
}

func TestRefuses(t *testing.T) {
	dir := t.TempDir()
	encrypt := Options{Size: size, Key: []byte("secret"), Encrypt: &Encryption{Kind: blockcrypt.Passphrase, Cost: cheap}}
	plain, secret, foreign := filepath.Join(dir, "plain"), filepath.Join(dir, "secret"), filepath.Join(dir, "foreign")
	for path, o := range map[string]Options{plain: {Size: size}, secret: encrypt} {
		if _, err := use(t, path, o, "x"); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(foreign, bytes.Repeat([]byte("letters "), size/8), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		path string
		o    Options
		want error
	}{
		{plain, Options{Key: []byte("secret")}, ErrNotEncrypted},
		{plain, encrypt, blockcrypt.ErrNotBlank},
		{secret, Options{}, ErrKeyNeeded},
		{secret, Options{Key: []byte("wrong")}, blockcrypt.ErrKey},
		{foreign, Options{}, blockfs.ErrForeign},
		{foreign, encrypt, blockcrypt.ErrNotBlank},
		{filepath.Join(dir, "absent"), Options{}, os.ErrNotExist},
	} {
		before, _ := os.ReadFile(c.path) // of the absent one nil
		if _, err := OpenVolume(c.path, c.o); !errors.Is(err, c.want) {
			t.Errorf("%s with %+v: %v", filepath.Base(c.path), c.o, err)
		}
		if after, _ := os.ReadFile(c.path); !bytes.Equal(before, after) {
			t.Errorf("%s changed", c.path)
		}
	}
	if _, err := OpenDevice(plain, Options{Encrypt: &Encryption{Kind: blockcrypt.Passphrase}}); err == nil {
		t.Error("encryption without a key")
	}
}

func TestOneProcessAtATime(t *testing.T) {
	path := filepath.Join(t.TempDir(), "disk")
	d, err := OpenDevice(path, Options{Size: size})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := OpenDevice(path, Options{}); !errors.Is(err, syscall.EWOULDBLOCK) {
		t.Error(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if d, err = OpenDevice(path, Options{}); err != nil {
		t.Fatal(err)
	}
	if d.Size() != size {
		t.Errorf("%d bytes", d.Size())
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
}

// TestNothingIsLeft: a file that could not be made what it should be is removed.
func TestNothingIsLeft(t *testing.T) {
	path := filepath.Join(t.TempDir(), "disk")
	bad := &Encryption{Kind: blockcrypt.Recovery}
	if _, err := OpenDevice(path, Options{Size: size, Key: []byte("x"), Encrypt: bad}); err == nil {
		t.Error("no error")
	}
	if _, err := OpenDevice(path, Options{Size: size, Key: []byte("x")}); !errors.Is(err, ErrNotEncrypted) {
		t.Error(err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}
