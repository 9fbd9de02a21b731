package user

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"
)

// The costs of a new hash: the second of the choices that RFC 9106 (section 4) and
// OWASP's password storage sheet give for machines with little memory. Old hashes
// carry their own.
const (
	hashTime    = 2
	hashMemory  = 19 << 10 // KiB
	hashThreads = 1
	hashBytes   = 32
	saltBytes   = 16

	maxHashTime   = 16      // of a stored hash; more is refused
	maxHashMemory = 1 << 20 // KiB
	maxPassword   = 1 << 10 // bytes
	minPassword   = 8       // bytes; NIST SP 800-63B, section 5.1.1.2
	onceAlphabet  = "abcdefghjkmnpqrstuvwxyz23456789"
	onceLetters   = 16 // of an alphabet of 31: 79 bits
)

// errHash says that a stored hash cannot be read.
var errHash = errors.New("user: a stored password hash is damaged")

// hash makes the PHC string of a password: $argon2id$v=19$m=...,t=...,p=...$salt$hash.
func hash(password string) string {
	salt := make([]byte, saltBytes)
	rand.Read(salt) // never fails (crypto/rand)
	sum := argon2.IDKey([]byte(password), salt, hashTime, hashMemory, hashThreads, hashBytes)
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, hashMemory, hashTime, hashThreads,
		b64.EncodeToString(salt), b64.EncodeToString(sum))
}

// matches reports whether a password is that of a PHC string, in a time that does
// not tell how nearly.
func matches(phc, password string) (bool, error) {
	var version, memory, time, threads uint32
	parts := strings.Split(phc, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" {
		return false, errHash
	}
	if n, err := fmt.Sscanf(parts[2]+" "+parts[3], "v=%d m=%d,t=%d,p=%d", &version, &memory, &time, &threads); n != 4 || err != nil {
		return false, errHash
	}
	salt, err1 := base64.RawStdEncoding.DecodeString(parts[4])
	want, err2 := base64.RawStdEncoding.DecodeString(parts[5])
	known := version == argon2.Version && memory >= 8 && memory <= maxHashMemory &&
		time >= 1 && time <= maxHashTime && threads >= 1 && threads <= 255
	if err1 != nil || err2 != nil || !known || len(want) < 16 || len(want) > 64 {
		return false, errHash
	}
	have := argon2.IDKey([]byte(password), salt, time, memory, uint8(threads), uint32(len(want)))
	return subtle.ConstantTimeCompare(have, want) == 1, nil
}

// decoy is compared with where there is no password, so that the time does not
// tell who has one.
var decoy = "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

// oncePassword makes a password for one use, easy to read and type.
func oncePassword() string {
	var b strings.Builder
	for b.Len() < onceLetters {
		var x [1]byte
		rand.Read(x[:])
		if n := len(onceAlphabet); int(x[0]) < 256/n*n { // without a bias
			b.WriteByte(onceAlphabet[int(x[0])%n])
		}
	}
	return b.String()
}
