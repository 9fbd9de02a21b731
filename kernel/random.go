package kernel

// Entropy: RDRAND and the time of interrupts go into a ChaCha20 key (RFC 8439)
// that is replaced after each use, so that an old output cannot be worked out
// from a later state (fast key erasure). virtio-rng adds to it by AddEntropy.

var entropyKey [8]uint32
var entropyLock spinLock

// stir mixes words into the key.
func stir(words ...uint64) {
	entropyLock.lock()
	for i, w := range words {
		entropyKey[2*i&7] ^= uint32(w)
		entropyKey[(2*i+1)&7] ^= uint32(w >> 32)
	}
	var block [16]uint32
	chacha(&block, 0)
	copy(entropyKey[:], block[:8])
	entropyLock.unlock()
}

// gather asks the processor for randomness: RDRAND, tried again as Intel
// advises (DRNG guide, 5.2.1), and the time stamp counter.
func gather() {
	_, _, feature, _ := cpuid(1, 0)
	var words [4]uint64
	for i := range words {
		words[i] = rdtsc()
		if feature&(1<<30) == 0 {
			continue
		}
		for range 10 {
			if w, ok := rdrand(); ok {
				words[i] ^= w
				break
			}
		}
	}
	stir(words[:]...)
}

// addEntropy mixes the n bytes at p into the key, at most maxEntropy of them.
func addEntropy(p, n uintptr) uintptr {
	const maxEntropy = 256
	n = min(n, maxEntropy)
	if !accessible(p, n, false) {
		return errFAULT
	}
	var words [maxEntropy / 8]uint64
	for i := range n {
		words[i/8] ^= uint64(*at[byte](p + i)) << (i % 8 * 8)
	}
	for i := uintptr(0); i*8 < n; i += 4 {
		stir(words[i : i+4]...)
	}
	return n
}

// getrandom fills [p, p+n) with random bytes, at most randomChunk of them.
func getrandom(p, n uintptr) uintptr {
	const randomChunk = 4096
	n = min(n, randomChunk)
	if !accessible(p, n, true) {
		return errFAULT
	}
	gather()
	entropyLock.lock()
	var block [16]uint32
	chacha(&block, 0)
	key := block[8:]
	var next [8]uint32
	copy(next[:], block[:8])
	copy(entropyKey[:], key)
	counter := uint32(0)
	for i := uintptr(0); i < n; i++ {
		if i%64 == 0 {
			counter++
			chacha(&block, counter)
		}
		*at[byte](p + i) = byte(block[i%64/4] >> (i % 4 * 8))
	}
	entropyKey = next
	entropyLock.unlock()
	return n
}

// chacha computes the block of the current key with a zero nonce.
func chacha(out *[16]uint32, counter uint32) {
	in := [16]uint32{0x61707865, 0x3320646e, 0x79622d32, 0x6b206574, 12: counter}
	copy(in[4:12], entropyKey[:])
	x := in
	for range 10 {
		quarter(&x, 0, 4, 8, 12)
		quarter(&x, 1, 5, 9, 13)
		quarter(&x, 2, 6, 10, 14)
		quarter(&x, 3, 7, 11, 15)
		quarter(&x, 0, 5, 10, 15)
		quarter(&x, 1, 6, 11, 12)
		quarter(&x, 2, 7, 8, 13)
		quarter(&x, 3, 4, 9, 14)
	}
	for i := range x {
		out[i] = x[i] + in[i]
	}
}

func quarter(x *[16]uint32, a, b, c, d int) {
	x[a] += x[b]
	x[d] = rotate(x[d]^x[a], 16)
	x[c] += x[d]
	x[b] = rotate(x[b]^x[c], 12)
	x[a] += x[b]
	x[d] = rotate(x[d]^x[a], 8)
	x[c] += x[d]
	x[b] = rotate(x[b]^x[c], 7)
}

func rotate(v uint32, n uint) uint32 { return v<<n | v>>(32-n) }
