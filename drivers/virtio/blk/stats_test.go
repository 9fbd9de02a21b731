package blk

import "testing"

// TestStats does some requests, of which the device fails one.
func TestStats(t *testing.T) {
	d := newDisk(everything, 1<<20)
	bad := uint64(1 << 10) // the sector that cannot be read
	d.status = func(kind uint32, sector uint64) uint8 {
		if kind == typeIn && sector == bad {
			return statusIOError
		}
		return statusOK
	}
	dev := d.open(t)
	p := make([]byte, 8*unit)
	for range 3 {
		if _, err := dev.WriteAt(p, 0); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := dev.ReadAt(p[:unit], unit); err != nil {
		t.Fatal(err)
	}
	if err := dev.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := dev.Discard(0, 8*unit); err != nil {
		t.Fatal(err)
	}
	if _, err := dev.ReadAt(p[:unit], int64(bad)*unit); err == nil {
		t.Fatal("the bad sector is read")
	}
	want := Stats{Reads: 1, Writes: 3, Flushes: 1, BytesRead: unit, BytesWritten: 3 * 8 * unit, Errors: 1}
	if got := dev.Stats(); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
