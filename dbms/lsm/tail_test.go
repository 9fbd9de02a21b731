package lsm

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/record"
	"github.com/cockroachdb/pebble/v2/vfs"
)

const tailRows = 120

// unclean is a Pebble of which the power was cut after tailRows commits that are durable.
func unclean(t *testing.T) *vfs.MemFS {
	t.Helper()
	fs := vfs.NewCrashableMem()
	db, err := pebble.Open("db", tailOptions(t, fs))
	if err != nil {
		t.Fatal(err)
	}
	for i := range tailRows {
		if err := db.Set(fmt.Appendf(nil, "%03d", i), make([]byte, 20+8*i), pebble.Sync); err != nil {
			t.Fatal(err)
		}
		if i == tailRows/4 || i == tailRows/3 || i == tailRows/2 {
			if err := db.Flush(); err != nil {
				t.Fatal(err)
			}
		}
	}
	clone := fs.CrashClone(vfs.CrashCloneCfg{})
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return clone
}

func tailOptions(t *testing.T, fs vfs.FS) *pebble.Options {
	return &pebble.Options{
		FS: fs, FormatMajorVersion: pebble.FormatValueSeparation, Logger: silent{t},
		DisableAutomaticCompactions: true,
	}
}

// tails are the files that CheckTails looks at.
func tails(t *testing.T, fs vfs.FS) (log, manifest string) {
	t.Helper()
	d, err := pebble.Peek("db", fs)
	if err != nil {
		t.Fatal(err)
	}
	names, err := fs.List("db")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, ".log") && name > log {
			log = name
		}
	}
	return fs.PathJoin("db", log), d.ManifestFilename
}

func contents(t *testing.T, fs vfs.FS, name string) []byte {
	t.Helper()
	f, err := fs.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(f)
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	return b
}

// with is a copy of fs in which a file has other contents.
func with(t *testing.T, fs *vfs.MemFS, name string, b []byte) vfs.FS {
	t.Helper()
	to := vfs.NewMem()
	if _, err := vfs.Clone(fs, to, "db", "db"); err != nil {
		t.Fatal(err)
	}
	f, err := to.Create(name, vfs.WriteCategoryUnspecified)
	if err == nil {
		_, err = f.Write(bytes.Clone(b)) // it may change what it is given
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	return to
}

// lost opens a Pebble and counts the rows that are missing. Damage that it notices itself
// is an error.
func lost(t *testing.T, fs vfs.FS) (rows int, err error) {
	t.Helper()
	db, err := pebble.Open("db", tailOptions(t, fs))
	if err != nil {
		return 0, err
	}
	it, err := db.NewIter(nil)
	if err != nil {
		t.Fatal(err)
	}
	rows = tailRows
	for ok := it.First(); ok; ok = it.Next() {
		rows--
	}
	return rows, errors.Join(it.Close(), db.Close())
}

// TestTails flips bits of the log and the manifest of a Pebble that was not closed. What
// was durable is not lost without a word, but for the record that was written last.
func TestTails(t *testing.T) {
	fs := unclean(t)
	if err := CheckTails(fs, "db"); err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(4, 4))
	log, manifest := tails(t, fs)
	for _, name := range []string{log, manifest} {
		b := contents(t, fs, name)
		noticed, byPebble, silent := 0, 0, 0
		for at := 0; at < len(b); at += 1 + r.IntN(1+len(b)/400) {
			bit := byte(1) << r.IntN(8)
			b[at] ^= bit
			damaged := with(t, fs, name, b)
			b[at] ^= bit
			err := CheckTails(damaged, "db")
			if errors.Is(err, ErrTail) {
				noticed++
				continue
			}
			if err != nil {
				t.Fatalf("%s, byte %d: %v", name, at, err)
			}
			switch rows, err := lost(t, damaged); {
			case err != nil:
				byPebble++
			case rows > 1 || rows == 1 && name == manifest:
				t.Errorf("%s, byte %d of %d, bit %x: %d rows are lost without a word", name, at, len(b), bit, rows)
			default:
				silent++
			}
		}
		t.Logf("%s: %d bytes, damage noticed in %d places, by Pebble in %d, not in %d", name, len(b), noticed, byPebble, silent)
		if noticed == 0 || noticed+byPebble < 2*silent {
			t.Errorf("%s: damage was noticed in %d and %d places, and not in %d", name, noticed, byPebble, silent)
		}
	}
}

// TestEndMark makes chunks of a log say that it ends there, as one bit may do. Pebble
// believes it.
func TestEndMark(t *testing.T) {
	fs := unclean(t)
	name, _ := tails(t, fs)
	number, err := strconv.ParseUint(strings.TrimSuffix(fs.PathBase(name), ".log"), 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	b := contents(t, fs, name)
	var chunks []int
	for block := 0; block < len(b); block += tailBlock {
		for at := block; ; {
			c := chunkAt(b[at:min(block+tailBlock, len(b))], chunkSynced, uint32(number))
			if !c.right {
				break
			}
			chunks = append(chunks, at)
			at += c.size
		}
	}
	if len(chunks) < tailRows/3 || chunks[len(chunks)-1] < tailBlock {
		t.Fatalf("%d chunks, the last at %d", len(chunks), chunks[len(chunks)-1])
	}
	for i, at := range chunks {
		damaged := bytes.Clone(b)
		binary.LittleEndian.PutUint32(damaged[at+chunkFixed:], uint32(number)+1)
		copy := with(t, fs, name, damaged)
		want := ErrTail
		if i == len(chunks)-1 {
			want = nil // this is where it ends
		} else if rows, err := lost(t, with(t, fs, name, damaged)); err != nil || rows == 0 {
			t.Errorf("chunk %d: Pebble notices it itself: %d rows are lost, %v", i, rows, err)
		}
		for _, newest := range []bool{true, false} {
			l := logCheck{number: uint32(number), newest: newest}
			if err := l.run(copy, name); !errors.Is(err, want) {
				t.Errorf("chunk %d of %d, newest %v: %v", i, len(chunks), newest, err)
			}
		}
	}
}

// TestTornTails cuts the files off, or leaves zeros or an older log from some place on:
// that is what a crash leaves, and no damage.
func TestTornTails(t *testing.T) {
	fs := unclean(t)
	log, manifest := tails(t, fs)
	for _, name := range []string{log, manifest} {
		b := contents(t, fs, name)
		old := append([]byte(nil), b...)
		for i := range old {
			if i+chunkFixed < len(old) && name == log {
				old[i] ^= byte(i % 3 / 2) // nothing of it has the right CRC
			}
		}
		for at := 0; at < len(b); at += 1 + len(b)/500 {
			for what, torn := range map[string][]byte{
				"cut off": b[:at],
				"zeros":   append(append([]byte(nil), b[:at]...), make([]byte, len(b)-at+tailBlock)...),
				"old":     append(append([]byte(nil), b[:at]...), old[at:]...),
			} {
				if what == "old" && name == manifest {
					continue // they are not used again
				}
				if err := CheckTails(with(t, fs, name, torn), "db"); err != nil {
					t.Fatalf("%s, %s from byte %d of %d: %v", name, what, at, len(b), err)
				}
			}
		}
	}
}

// TestNoTails: there may be no Pebble, or no log.
func TestNoTails(t *testing.T) {
	if err := CheckTails(vfs.NewMem(), "db"); err != nil {
		t.Error(err)
	}
	fs := unclean(t)
	log, _ := tails(t, fs)
	if err := fs.Remove(log); err != nil {
		t.Fatal(err)
	}
	if err := CheckTails(fs, "db"); err != nil {
		t.Error(err)
	}
}

// TestManifestBlockEnds writes manifests of which the first block has some bytes left at
// its end, too few for a chunk or just enough: none is damaged.
func TestManifestBlockEnds(t *testing.T) {
	for left := range 2*chunkFixed + 1 {
		fs := vfs.NewMem()
		f, err := fs.Create("manifest", vfs.WriteCategoryUnspecified)
		if err != nil {
			t.Fatal(err)
		}
		w := record.NewWriter(f)
		for _, n := range []int{tailBlock - chunkFixed - left, 100} {
			if _, werr := w.WriteRecord(make([]byte, n)); werr != nil {
				t.Fatal(werr)
			}
		}
		if err := errors.Join(w.Close(), f.Close(), checkManifest(fs, "manifest")); err != nil {
			t.Error(fmt.Errorf("%d bytes left: %w", left, err))
		}
	}
}

// FuzzBlock has any bytes as a block of a log.
func FuzzBlock(f *testing.F) {
	f.Add([]byte{}, uint32(1))
	f.Add(make([]byte, 100), uint32(1))
	f.Add([]byte{1, 2, 3, 4, 3, 0, 9, 1, 0, 0, 0, 9, 9, 9, 9, 9, 9, 9, 9, 1, 2, 3}, uint32(1))
	f.Fuzz(func(t *testing.T, b []byte, number uint32) {
		if len(b) > tailBlock {
			return
		}
		l := logCheck{number: number, bad: -1}
		l.ends(b)
		if err := l.block(b, 0); err != nil && !errors.Is(err, ErrTail) {
			t.Error(err)
		}
	})
}
