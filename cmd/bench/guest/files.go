package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// inDirectory runs a measurement in a directory of its own, in microseconds of one
// call. work is called with ascending numbers.
func inDirectory(dir string, prepare func(work string) error, do func(work string, i int) error) (float64, error) {
	work, err := os.MkdirTemp(dir, "files-")
	if err != nil {
		return 0, err
	}
	if prepare != nil {
		err = prepare(work)
	}
	next := 0
	ns := perCall(func(n int) {
		for range n {
			if e := do(work, next); e != nil && err == nil {
				err = e
			}
			next++
		}
	})
	return ns / 1e3, errors.Join(err, os.RemoveAll(work))
}

// fileStat measures stat of a file in use.
func fileStat(dir string) (float64, error) {
	return inDirectory(dir, func(work string) error { return writeSynced(filepath.Join(work, "file")) },
		func(work string, _ int) error {
			_, err := os.Stat(filepath.Join(work, "file"))
			return err
		})
}

// fileOverwrite measures writes of 4 KB to a file of 1 MB, without a sync.
func fileOverwrite(dir string) (float64, error) {
	var f *os.File
	value, err := inDirectory(dir, func(work string) (err error) {
		f, err = os.Create(filepath.Join(work, "file"))
		return err
	}, func(_ string, i int) error {
		_, err := f.WriteAt(page, int64(i%256)*int64(len(page)))
		return err
	})
	if f != nil {
		err = errors.Join(err, f.Close())
	}
	return value, err
}

// fileCreate measures creating empty files, each made durable.
func fileCreate(dir string) (float64, error) {
	return inDirectory(dir, nil, func(work string, i int) error {
		f, err := os.Create(filepath.Join(work, strconv.Itoa(i)))
		if err != nil {
			return err
		}
		return errors.Join(f.Sync(), f.Close())
	})
}

// fileUnlink measures removing small files, each durably. Making them does not count.
func fileUnlink(dir string) (float64, error) {
	const files = 500
	work, err := os.MkdirTemp(dir, "unlink-")
	if err != nil {
		return 0, err
	}
	d, err := os.Open(work)
	if err != nil {
		return 0, err
	}
	for i := range files {
		if err := os.WriteFile(filepath.Join(work, strconv.Itoa(i)), page, 0o644); err != nil {
			return 0, err
		}
	}
	if err := d.Sync(); err != nil {
		return 0, err
	}
	begun := time.Now()
	for i := range files {
		if err := errors.Join(os.Remove(filepath.Join(work, strconv.Itoa(i))), d.Sync()); err != nil {
			return 0, err
		}
	}
	took := time.Since(begun)
	return float64(took.Microseconds()) / files, errors.Join(d.Close(), os.RemoveAll(work))
}

// sequentialMB is how large the file of the sequential measurements is, in MiB: more
// than what a guest of 256 MiB can keep in memory.
var sequentialMB int64

const sequentialStep = 1 << 20

// rateOf is the MB/s at which the whole of that file was gone through.
func rateOf(took time.Duration) float64 {
	return float64(sequentialMB*sequentialStep) / 1e6 / took.Seconds()
}

// sequential is the file of the sequential measurements, of which the read comes
// second.
func sequential(dir string) string { return filepath.Join(dir, "sequential") }

// fileSequentialWrite measures writing a large file and making it durable, in MB/s.
func fileSequentialWrite(dir string) (float64, error) {
	data := make([]byte, sequentialStep)
	for i := range data {
		data[i] = byte(i*i>>3 ^ i*7)
	}
	begun := time.Now()
	f, err := os.Create(sequential(dir))
	for range sequentialMB {
		if err == nil {
			data[0]++
			_, err = f.Write(data)
		}
	}
	if err == nil {
		err = f.Sync()
	}
	return rateOf(time.Since(begun)), errors.Join(err, f.Close())
}

// fileSequentialRead reads it, in MB/s, and removes it.
func fileSequentialRead(dir string) (float64, error) {
	begun := time.Now()
	f, err := os.Open(sequential(dir))
	if err != nil {
		return 0, err
	}
	n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{f}, make([]byte, sequentialStep))
	if err == nil && n != sequentialMB*sequentialStep {
		err = io.ErrUnexpectedEOF
	}
	took := time.Since(begun)
	return rateOf(took), errors.Join(err, f.Close(), os.Remove(sequential(dir)))
}
