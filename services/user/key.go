package user

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// keyForms are the types of public keys that SSH's servers take here, with the fields
// that follow the type's name in the format of the wire (RFC 4253, section 6.6; RFC
// 5656, section 3.1; RFC 8709, section 4; OpenSSH's PROTOCOL.u2f). All of them are
// strings of bytes with their length in front.
var keyForms = map[string][]func(field []byte) bool{
	"ssh-ed25519":         {length(32)},
	"ssh-rsa":             {number(1, 4), number(256, 1025)}, // exponent, modulus: 2048 to 8192 bits
	"ecdsa-sha2-nistp256": {name("nistp256"), point(65)},
	"ecdsa-sha2-nistp384": {name("nistp384"), point(97)},
	"ecdsa-sha2-nistp521": {name("nistp521"), point(133)},

	"sk-ssh-ed25519@openssh.com":         {length(32), between(1, 256)},
	"sk-ecdsa-sha2-nistp256@openssh.com": {name("nistp256"), point(65), between(1, 256)},
}

func length(n int) func([]byte) bool { return between(n, n) }

func between(least, most int) func([]byte) bool {
	return func(p []byte) bool { return len(p) >= least && len(p) <= most }
}

func name(s string) func([]byte) bool { return func(p []byte) bool { return string(p) == s } }

// number is one above zero, without more zeros in front than the sign asks for.
func number(least, most int) func([]byte) bool {
	return func(p []byte) bool {
		return len(p) >= least && len(p) <= most && p[0] < 0x80 && (p[0] > 0 || len(p) > 1 && p[1] >= 0x80)
	}
}

// point is one of a curve, not compressed.
func point(n int) func([]byte) bool {
	return func(p []byte) bool { return len(p) == n && p[0] == 4 }
}

// parseKey reads a line of OpenSSH's authorized_keys that has no options: a type, the
// key in the wire's format as base64, and a comment, which may be missing. That a key
// is of the right form does not mean that anybody has its private half.
func parseKey(line string) (kind string, wire []byte, comment string, err error) {
	line = strings.TrimSpace(line)
	if strings.ContainsAny(line, "\r\n") {
		return "", nil, "", errors.New("a key is one line, without options")
	}
	kind, rest := word(line)
	if keyForms[kind] == nil {
		return "", nil, "", fmt.Errorf("no public key of SSH's: it begins with %.40q, not with a type such as ssh-ed25519", kind)
	}
	text, comment := word(rest)
	if wire, err = base64.StdEncoding.Strict().DecodeString(text); err == nil {
		err = checkWire(kind, wire)
	}
	if err != nil {
		return "", nil, "", fmt.Errorf("no public key of SSH's: %w", err)
	}
	return kind, wire, comment, nil
}

// word is the first word and what follows it.
func word(s string) (first, rest string) {
	if i := strings.IndexAny(s, " \t"); i >= 0 {
		return s[:i], strings.TrimLeft(s[i:], " \t")
	}
	return s, ""
}

// checkWire sees whether bytes are a key of a type.
func checkWire(kind string, wire []byte) error {
	for i, ok := range slices.Concat([]func([]byte) bool{name(kind)}, keyForms[kind]) {
		if len(wire) < 4 || uint64(binary.BigEndian.Uint32(wire)) > uint64(len(wire)-4) {
			return errors.New("it ends too early")
		}
		n := int(binary.BigEndian.Uint32(wire))
		if !ok(wire[4 : 4+n]) {
			return fmt.Errorf("field %d is not one of a key of type %s", i, kind)
		}
		wire = wire[4+n:]
	}
	if len(wire) > 0 {
		return fmt.Errorf("%d bytes too many", len(wire))
	}
	return nil
}

// fingerprintOf is the fingerprint of a key in the wire's format, as ssh-keygen shows it.
func fingerprintOf(wire []byte) string {
	sum := sha256.Sum256(wire)
	return "SHA256:" + base64.RawStdEncoding.EncodeToString(sum[:])
}
