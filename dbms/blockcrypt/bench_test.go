package blockcrypt

import (
	"fmt"
	"testing"

	"github.com/tuplix/tuplix/dbms/blockdev"
)

// BenchmarkDevice compares a device in memory with what is encrypted on one.
func BenchmarkDevice(b *testing.B) {
	plain := blockdev.NewMemory(64<<20, 4096)
	below := blockdev.NewMemory(64<<20, 4096)
	_, err := Format(below, Passphrase, []byte("x"), cheap)
	must(b, err)
	for name, dev := range map[string]BlockDevice{"plain": plain, "encrypted": opened(b, below, "x")} {
		must(b, writeFull(dev, random(2, int(dev.Size())), 0)) // zeros are not decrypted
		for _, n := range []int{4 << 10, 128 << 10} {
			p := random(1, n)
			slots := dev.Size() / int64(n)
			for op, do := range map[string]func(BlockDevice, []byte, int64) error{"write": writeFull, "read": readFull} {
				b.Run(fmt.Sprintf("%s/%s/%dk", op, name, n>>10), func(b *testing.B) {
					b.SetBytes(int64(n))
					b.ReportAllocs()
					for i := int64(0); b.Loop(); i++ {
						must(b, do(dev, p, i%slots*int64(n)))
					}
				})
			}
		}
	}
}

func BenchmarkDeriveKey(b *testing.B) {
	dev := blockdev.NewMemory(testBytes, 512)
	_, err := Format(dev, Passphrase, []byte("x"), DefaultCost)
	must(b, err)
	for b.Loop() {
		opened(b, dev, "x")
	}
}
