package embedded

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/tuplix/tuplix/dbms/engine"
)

// version is a hybrid logical clock: the microseconds since 1970 in the upper
// bits, a counter in the lower ones. It is later than every version before it
// whatever the wall clock does, and equal to the wall clock while that behaves.
//
//	 63                                        12 11         0
//	├───────────────────────────────────────────┼─────────────┤
//	          microseconds since 1970               counter
type version uint64

const (
	counterBits = 12
	versionSize = 8

	noVersion  version = 0
	endVersion version = 1<<64 - 1 // later than all; "until" of the present
)

// maxMicros is the last moment that fits, in the year 2112.
const maxMicros = 1<<(64-counterBits) - 2

// versionAt is the first version of a moment.
func versionAt(t time.Time) version { return versionOf(t.UnixMicro()) }

func versionOf(micros int64) version {
	return version(min(max(micros, 0), maxMicros)) << counterBits
}

// after is the next version: that of the wall clock, in microseconds, if it has gone on.
func (v version) after(now int64) version { return max(v+1, versionOf(now)) }

// micros is the wall clock's part.
func (v version) micros() int64 { return int64(v >> counterBits) }

func (v version) time() time.Time { return time.UnixMicro(v.micros()) }

// String is for people: errors, transcripts of checks.
func (v version) String() string { return fmt.Sprintf("%016x", uint64(v)) }

func (v version) append(b []byte) []byte { return binary.BigEndian.AppendUint64(b, uint64(v)) }

// external is how the seam writes it: 8 bytes, big-endian.
func (v version) external() engine.Version {
	var b [versionSize]byte
	binary.BigEndian.PutUint64(b[:], uint64(v))
	return engine.Version(b[:])
}

// readVersion takes a version from the front of b, which is long enough.
func readVersion(b []byte) version { return version(binary.BigEndian.Uint64(b)) }

// internal checks and converts a version that a caller passed.
func (e *Engine) internal(v engine.Version) (version, error) {
	if len(v) != versionSize {
		return 0, fmt.Errorf("%w: %d bytes instead of %d", engine.ErrVersion, len(v), versionSize)
	}
	n := noVersion
	for i := range versionSize {
		n = n<<8 | version(v[i])
	}
	if n < e.born {
		return 0, fmt.Errorf("%w: version %v is from before the store was made", engine.ErrTooOld, n)
	}
	if n > e.last.Load() {
		return 0, fmt.Errorf("%w: version %v is later than the newest", engine.ErrVersion, n)
	}
	return n, nil
}
