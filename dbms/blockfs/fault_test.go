package blockfs

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"

	"github.com/tuplix/tuplix/dbms/blockdev"
	"github.com/tuplix/tuplix/dbms/blockdev/crash"
)

const faultBytes = 5 << 20

// TestFaults fails each device operation of a history in turn, with EIO and with
// ENOSPC, once or from then on. Each error must come out as an error, what was
// synced must be readable and right, and the volume sound after a crash.
func TestFaults(t *testing.T) {
	for _, errno := range []syscall.Errno{syscall.EIO, syscall.ENOSPC} {
		for _, forever := range []bool{false, true} {
			n, step := 0, raceShare
			if forever {
				step = 3 * raceShare
			}
			for ; ; n += step {
				f := &faults{at: n, errno: errno, forever: forever}
				if !f.run(t, uint64(n)) {
					break
				}
			}
			t.Logf("%v, forever %t: up to operation %d", errno, forever, n)
			if n < 50 {
				t.Errorf("only %d device operations", n)
			}
		}
	}
}

// faults fails the device operation number at.
type faults struct {
	at      int
	errno   syscall.Errno
	forever bool
	seen    int
	hits    int
	spare   int // hits on one of two copies, where the other one serves
}

func (f *faults) hook(op crash.Op, off, n int64) error {
	f.seen++
	if op != crash.Discard && (f.seen-1 == f.at || f.forever && f.seen > f.at) {
		f.hits++
		if sb := layout(blockdev.NewMemory(faultBytes, 4096), [16]byte{}); op == crash.Read && n == 4096 && off < sb.areaOffset(2) {
			f.spare++
		}
		return f.errno
	}
	return nil
}

// run plays the history; it returns false when the fault came too late to hit.
func (f *faults) run(t *testing.T, seed uint64) bool {
	t.Helper()
	dev := crash.New(faultBytes, 4096)
	must(t, Format(dev, FormatOptions{}))
	dev.SetHook(f.hook)
	synced := map[string][]byte{}
	err := f.history(t, dev, synced)
	dev.SetHook(nil)
	if f.hits > f.spare && err == nil {
		t.Fatalf("operation %d failed, and nobody was told", f.at)
	}
	if err != nil && !errors.Is(err, f.errno) {
		t.Fatalf("operation %d: %v does not say %v", f.at, err, f.errno)
	}
	crashed, err := dev.Crash(rand.New(rand.NewPCG(seed, 1)))
	must(t, err)
	if _, err := Check(crashed); err != nil {
		t.Fatalf("operation %d: %v", f.at, err)
	}
	fs, err := Open(crashed, Options{})
	must(t, err)
	for name, want := range synced {
		if !bytes.Equal(readFile(t, fs, name), want) {
			t.Fatalf("operation %d: %s is not as it was synced", f.at, name)
		}
	}
	must(t, fs.Close())
	return f.seen > f.at
}

// history writes files so that journal, checkpoint, growth and removal occur. It
// goes on after errors, joins them, and notes what was surely synced.
func (f *faults) history(t *testing.T, dev *crash.Device, synced map[string][]byte) error {
	fs, err := Open(dev, Options{inline: true})
	if err != nil {
		return err
	}
	var errs []error
	for i := range 14 {
		name := fmt.Sprint("f", i%6)
		err := f.put(fs, name, pattern(i, 3000*i), synced)
		errs = append(errs, err)
		if i%4 == 3 {
			delete(synced, name) // from now on it may be there or not
			errs = append(errs, fs.Remove(name))
		}
		for name, want := range synced {
			got, err := contentOf(fs, name)
			errs = append(errs, err)
			if err == nil && !bytes.Equal(got, want) {
				t.Fatalf("operation %d: %s reads wrong", f.at, name)
			}
		}
	}
	return errors.Join(append(errs, fs.Close())...)
}

// put writes a file beside and renames it into place.
func (f *faults) put(fs *FS, name string, data []byte, synced map[string][]byte) error {
	w, err := fs.Create("tmp", unspecified)
	if err != nil {
		return err
	}
	_, err = w.Write(data)
	if err == nil {
		err = w.Sync()
	}
	if err = errors.Join(err, w.Close()); err != nil {
		return err
	}
	delete(synced, name)
	if err := fs.Rename("tmp", name); err != nil {
		return err
	}
	d, err := fs.OpenDir("")
	if err != nil {
		return err
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return err
	}
	synced[name] = data
	return nil
}

// TestWriteErrorIsRetried: a write that failed once succeeds at the next sync,
// and is readable in between.
func TestWriteErrorIsRetried(t *testing.T) {
	dev := crash.New(8<<20, 512)
	fs, err := Open(dev, Options{FormatBlank: true, inline: true})
	must(t, err)
	w, err := fs.Create("f", unspecified)
	must(t, err)
	_, err = w.Write(pattern(1, 5000))
	must(t, err)
	dev.SetHook(func(op crash.Op, _, _ int64) error {
		if op == crash.Write {
			return syscall.EIO
		}
		return nil
	})
	for range 2 {
		if err := w.Sync(); !errors.Is(err, syscall.EIO) {
			t.Fatalf("sync: %v", err)
		}
		if !bytes.Equal(readFile(t, fs, "f"), pattern(1, 5000)) {
			t.Fatal("reads wrong after a failed write")
		}
	}
	if err := w.Close(); !errors.Is(err, syscall.EIO) {
		t.Fatalf("close: %v", err)
	}
	if !bytes.Equal(readFile(t, fs, "f"), pattern(1, 5000)) {
		t.Fatal("reads wrong after a failed close")
	}
	dev.SetHook(nil)
	checkAll(t, dev, fs)
	again, err := Open(dev, Options{})
	must(t, err)
	if !bytes.Equal(readFile(t, again, "f"), pattern(1, 5000)) {
		t.Fatal("lost")
	}
	must(t, again.Close())
}

// TestFlushErrorIsFinal: after a failed flush nothing is written, all is read.
func TestFlushErrorIsFinal(t *testing.T) {
	dev := crash.New(8<<20, 512)
	fs, err := Open(dev, Options{FormatBlank: true, inline: true})
	must(t, err)
	writeFile(t, fs, "f", pattern(1, 5000))
	w, err := fs.Create("g", unspecified)
	must(t, err)
	dev.SetHook(func(op crash.Op, _, _ int64) error {
		if op == crash.Flush {
			return syscall.EIO
		}
		return nil
	})
	if err := w.Sync(); !errors.Is(err, syscall.EIO) {
		t.Fatalf("sync: %v", err)
	}
	dev.SetHook(nil)
	writes := dev.Count(crash.Write)
	_, err = w.Write(make([]byte, 1<<20))
	_, create := fs.Create("h", unspecified)
	for i, err := range []error{err, create, w.Sync(), fs.Rename("f", "x"), fs.Sync()} {
		if !errors.Is(err, syscall.EIO) {
			t.Errorf("%d: %v", i, err)
		}
	}
	if dev.Count(crash.Write) != writes {
		t.Error("written after a failed flush")
	}
	if !bytes.Equal(readFile(t, fs, "f"), pattern(1, 5000)) {
		t.Error("cannot read after a failed flush")
	}
}
