package blockcrypt

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/tuplix/tuplix/dbms/blockdev"
	"github.com/tuplix/tuplix/dbms/blockdev/crash"
)

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	must(t, err)
	return b
}

func unlocked(t *testing.T, dev BlockDevice, secret string) *Volume {
	t.Helper()
	v, err := Unlock(dev, []byte(secret), Options{})
	must(t, err)
	t.Cleanup(v.Close)
	return v
}

func TestWrongKeyChangesNothing(t *testing.T) {
	dev, recovery := formatted(t, 512)
	before := raw(t, dev)
	for _, secret := range []string{"", "wrong", "correct horse ", strings.Repeat("x", MaxSecret+1), mistyped(recovery)} {
		_, err := Open(dev, []byte(secret), Options{})
		if !errors.Is(err, ErrKey) {
			t.Errorf("%.40q: %v", secret, err)
		}
		if typing := strings.Contains(fmt.Sprint(err), "typing error"); typing != (secret == mistyped(recovery)) {
			t.Errorf("%.40q: %v", secret, err)
		}
	}
	if !bytes.Equal(raw(t, dev), before) {
		t.Error("the disk changed")
	}
}

// mistyped changes the third digit.
func mistyped(recovery string) string {
	c := "7"
	if recovery[2] == '7' {
		c = "8"
	}
	return recovery[:2] + c + recovery[3:]
}

func TestKeysComeAndGo(t *testing.T) {
	dev, recovery := formatted(t, 512)
	must(t, writeFull(opened(t, dev, "correct horse"), random(7, 4096), 8192))
	v := unlocked(t, dev, "correct horse")
	file, err := v.AddKey(KeyFile, random(9, 64), Cost{})
	must(t, err)
	must(t, v.ChangeKey(0, Passphrase, []byte("battery staple"), Cost{}))
	second, err := v.AddRecovery()
	must(t, err)
	must(t, v.RemoveKey(1))
	for _, secret := range []string{"battery staple", string(random(9, 64)), second} {
		got := make([]byte, 4096)
		must(t, readFull(opened(t, dev, secret), got, 8192))
		if !bytes.Equal(got, random(7, 4096)) {
			t.Error("the data changed")
		}
	}
	for _, secret := range []string{"correct horse", recovery} {
		if _, err := Open(dev, []byte(secret), Options{}); !errors.Is(err, ErrKey) {
			t.Errorf("a key that was taken away: %v", err)
		}
	}
	info, err := Inspect(dev)
	must(t, err)
	if s := info.Slots; len(s) != 3 || s[0].Kind != Passphrase || s[1].Kind != KeyFile || s[1].Number != file || s[1].Cost != cheap || s[2].Kind != Recovery {
		t.Errorf("%+v", info)
	}
}

func TestKeysRefused(t *testing.T) {
	dev, _ := formatted(t, 512)
	v := unlocked(t, dev, "correct horse")
	before := raw(t, dev)
	for name, err := range map[string]error{
		"no such":   v.RemoveKey(5),
		"negative":  v.ChangeKey(-1, Passphrase, []byte("x"), Cost{}),
		"empty":     v.ChangeKey(0, Passphrase, nil, Cost{}),
		"long":      v.ChangeKey(0, KeyFile, make([]byte, MaxSecret+1), Cost{}),
		"chosen":    v.ChangeKey(0, Recovery, make([]byte, 32), Cost{}),
		"expensive": v.ChangeKey(0, Passphrase, []byte("x"), Cost{Passes: 1, MemoryKiB: 4 << 20, Lanes: 1}),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if !bytes.Equal(raw(t, dev), before) {
		t.Error("the disk changed")
	}
	for range MaxSlots - 2 {
		_, err := v.AddRecovery()
		must(t, err)
	}
	if _, err := v.AddRecovery(); err == nil {
		t.Error("one more than there is room for")
	}
	for i := 1; i < MaxSlots; i++ {
		must(t, v.RemoveKey(i))
	}
	if err := v.RemoveKey(0); err == nil {
		t.Error("the last key is gone")
	}
	v.Close()
	if _, err := v.AddRecovery(); err == nil {
		t.Error("a closed volume changed")
	}
}

func TestFormatRefuses(t *testing.T) {
	for _, at := range []int64{0, 512 << 10, testBytes - 512} {
		dev := blockdev.NewMemory(testBytes, 512)
		must(t, writeFull(dev, random(1, 512), at))
		before := raw(t, dev)
		if _, err := Format(dev, Passphrase, []byte("x"), cheap); !errors.Is(err, ErrNotBlank) {
			t.Errorf("something at %d: %v", at, err)
		}
		if !bytes.Equal(raw(t, dev), before) {
			t.Error("the disk changed")
		}
	}
	dev, _ := formatted(t, 512)
	if _, err := Format(dev, Passphrase, []byte("x"), cheap); !errors.Is(err, ErrNotBlank) {
		t.Error(err)
	}
	if _, err := Format(blockdev.NewMemory(1<<20, 512), Passphrase, []byte("x"), cheap); !errors.Is(err, ErrDevice) {
		t.Error(err)
	}
	if _, err := Format(blockdev.NewMemory(testBytes, 8192), Passphrase, []byte("x"), cheap); !errors.Is(err, ErrDevice) {
		t.Error(err)
	}
}

func TestPlainDevice(t *testing.T) {
	dev := blockdev.NewMemory(testBytes, 512)
	if yes, err := IsEncrypted(dev); yes || err != nil {
		t.Error(yes, err)
	}
	if _, err := Open(dev, []byte("x"), Options{}); !errors.Is(err, ErrPlain) {
		t.Error(err)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	dev, recovery := formatted(t, 512)
	o := Options{Memory: 4 << 20}
	if _, err := Open(dev, []byte("correct horse"), o); !errors.Is(err, ErrCost) {
		t.Error(err)
	}
	if _, err := Open(dev, []byte(recovery), o); err != nil {
		t.Error(err)
	}
}

// TestDamagedHeader breaks every byte that is in use, in one copy and in both.
func TestDamagedHeader(t *testing.T) {
	dev, recovery := formatted(t, 512)
	good := make([]byte, headerBytes)
	must(t, readFull(dev, good, 0))
	for i := 0; i < headerBytes; i += 37 {
		bad := bytes.Clone(good)
		bad[i] ^= 1 << (i % 8)
		damaged := dev.Clone()
		must(t, writeFull(damaged, bad, 0))
		if yes, err := IsEncrypted(damaged); !yes || err != nil {
			t.Fatalf("byte %d: %v, %v", i, yes, err)
		}
		if _, err := Open(damaged, []byte(recovery), Options{}); err != nil {
			t.Fatalf("byte %d of one copy: %v", i, err)
		}
		if !bytes.Equal(raw(t, damaged), raw(t, dev)) {
			t.Fatalf("byte %d is not repaired", i)
		}
		must(t, writeFull(damaged, bad, 0))
		must(t, writeFull(damaged, bad, headerCopy))
		if _, err := Open(damaged, []byte(recovery), Options{}); !errors.Is(err, ErrCorrupt) && !(i < 8 && errors.Is(err, ErrPlain)) {
			t.Fatalf("byte %d of both copies: %v", i, err)
		}
	}
}

// TestChangedHeader has somebody change fields and correct the checksum.
func TestChangedHeader(t *testing.T) {
	dev, recovery := formatted(t, 512)
	good, err := readCopies(dev)
	must(t, err)
	for name, c := range map[string]struct {
		edit   func(h *header)
		secret string
		want   error
	}{
		"id":             {func(h *header) { h.id[0]++ }, recovery, ErrKey},
		"salt":           {func(h *header) { h.slots[1].salt[0]++ }, recovery, ErrKey},
		"kind":           {func(h *header) { h.slots[0].kind = KeyFile }, "correct horse", ErrKey},
		"cost":           {func(h *header) { h.slots[0].cost.Passes++ }, "correct horse", ErrKey},
		"huge cost":      {func(h *header) { h.slots[0].cost.MemoryKiB = 1 << 31 }, "correct horse", ErrCorrupt},
		"many lanes":     {func(h *header) { h.slots[0].cost.Lanes = 256 }, "correct horse", ErrCorrupt},
		"no passes":      {func(h *header) { h.slots[0].cost.Passes = 0 }, "correct horse", ErrCorrupt},
		"unknown kind":   {func(h *header) { h.slots[0].kind = 9 }, "correct horse", ErrCorrupt},
		"free, not zero": {func(h *header) { h.slots[2].salt[0]++ }, "correct horse", ErrCorrupt},
		"sequence":       {func(h *header) { h.sequence = 0 }, "correct horse", ErrCorrupt},
		"moved":          {func(h *header) { h.slots[0], h.slots[5] = h.slots[5], h.slots[0] }, "correct horse", nil},
	} {
		h := *good.header
		c.edit(&h)
		disk := dev.Clone()
		must(t, (&copies{}).store(disk, &h))
		if _, err := Open(disk, []byte(c.secret), Options{}); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

// TestCrash cuts the power during changes of keys: what was acknowledged holds,
// what was not is wholly there or wholly not.
func TestCrash(t *testing.T) {
	for _, sector := range []int{512, 4096} {
		dev, recovery := formatted(t, sector)
		for seed := range uint64(crashSeeds) {
			if err := crashRun(seed, crash.From(dev.Clone()), recovery); err != nil {
				t.Fatalf("sectors of %d, seed %d: %v", sector, seed, err)
			}
		}
	}
}

// crashRun replaces the recovery key (such keys are quick), with power cuts.
func crashRun(seed uint64, dev *crash.Device, recovery string) (err error) {
	rng := rand.New(rand.NewPCG(seed, 0xC4))
	for range 4 {
		dev.CutAfter(rng.IntN(14)) // adding takes 4 operations, removing as many, a repair too
		r := replace(dev, rng, recovery)
		if r.err != nil && !dev.Cut() {
			return r.err
		}
		if dev, err = dev.Crash(rng); err != nil {
			return err
		}
		if _, err = Inspect(dev); err != nil {
			return fmt.Errorf("after a power cut: %w", err)
		}
		_, err = Open(dev, []byte(recovery), Options{})
		if r.removed && !errors.Is(err, ErrKey) || !r.removing && err != nil || err != nil && !errors.Is(err, ErrKey) {
			return fmt.Errorf("the old key: %+v, %v", r, err)
		}
		if r.added == "" {
			continue
		}
		recovery = r.added
		if _, err = Open(dev, []byte(recovery), Options{}); err != nil {
			return fmt.Errorf("the new key: %w", err)
		}
	}
	return nil
}

// replacement is what was acknowledged.
type replacement struct {
	added    string
	removing bool // was begun
	removed  bool
	err      error
}

func replace(dev *crash.Device, rng *rand.Rand, recovery string) (r replacement) {
	v, err := Unlock(dev, []byte(recovery), Options{})
	if err != nil {
		r.err = err
		return r
	}
	defer v.Close()
	if slots := v.Info().Slots; len(slots) == MaxSlots {
		r.err = v.RemoveKey((v.slot + 1) % MaxSlots)
		return r
	}
	if r.added, r.err = v.AddRecovery(); r.err != nil || rng.IntN(3) == 0 {
		return r
	}
	r.removing = true
	r.err = v.RemoveKey(v.slot)
	r.removed = r.err == nil
	return r
}

// TestCrashOfFormat: it is blank, or refused, or opens.
func TestCrashOfFormat(t *testing.T) {
	for seed := range uint64(40) {
		rng := rand.New(rand.NewPCG(seed, 0xF0))
		dev := crash.New(testBytes, 512)
		dev.CutAfter(rng.IntN(6))
		recovery, err := Format(dev, Passphrase, []byte("first"), cheap)
		if err != nil && !dev.Cut() {
			t.Fatal(err)
		}
		dev, err = dev.Crash(rng)
		must(t, err)
		_, err = Inspect(dev)
		if recovery != "" {
			_, err = Open(dev, []byte(recovery), Options{})
			must(t, err)
		}
		if err != nil && !errors.Is(err, ErrPlain) && !errors.Is(err, ErrCorrupt) {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}

func TestRecoveryText(t *testing.T) {
	for seed := range uint64(100) {
		key := random(seed, recoveryBytes)
		text := recoveryText(key)
		if len(text) != 14*4+13 {
			t.Fatal(text)
		}
		sloppy := strings.NewReplacer("0", "o", "1", "l", "-", "").Replace(text)
		for _, s := range []string{text, " " + text + "\r\n", sloppy} {
			if got, _ := parseRecovery([]byte(s)); !bytes.Equal(got, key) {
				t.Fatalf("%s reads as %x", s, got)
			}
		}
		if got, looks := parseRecovery([]byte(mistyped(text))); got != nil || !looks {
			t.Fatal("a typing error is not seen")
		}
	}
}

func FuzzHeader(f *testing.F) {
	dev, _ := formatted(f, 512)
	b := make([]byte, headerBytes)
	must(f, readFull(dev, b, 0))
	f.Add(b)
	f.Add([]byte(headerMagic))
	f.Fuzz(func(t *testing.T, b []byte) {
		fixChecksum(b)
		h, err := decodeHeader(b)
		if err != nil {
			return
		}
		again, err := decodeHeader(h.encode())
		if err != nil || *again != *h {
			t.Fatalf("encoded and decoded: %v", err)
		}
		for _, s := range h.slots {
			if s.kind != free && s.kind != Recovery && s.cost.check() != nil {
				t.Fatalf("accepted %+v", s.cost)
			}
		}
	})
}

func FuzzRecovery(f *testing.F) {
	f.Add([]byte(recoveryText(make([]byte, recoveryBytes))))
	f.Fuzz(func(t *testing.T, text []byte) {
		if key, _ := parseRecovery(text); key != nil {
			if got, _ := parseRecovery([]byte(recoveryText(key))); !bytes.Equal(got, key) {
				t.Fatal("not the same")
			}
		}
	})
}

// fixChecksum lets the fuzzer past it.
func fixChecksum(b []byte) {
	if len(b) >= headerBytes {
		le.PutUint32(b[headerBytes-4:], checksum(b[:headerBytes-4]))
	}
}
