package blockcrypt

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"

	"golang.org/x/crypto/argon2"
)

// A slot, 192 bytes, little endian:
//
//	offset size
//	   0    4   kind: 0 free, 1 passphrase, 2 key file, 3 recovery key
//	   4    4   argon2id: passes          ┐
//	   8    4   argon2id: memory in KiB   │ zero for a recovery key
//	  12    4   argon2id: lanes           ┘
//	  16   32   salt, random
//	  48   12   nonce, random
//	  60    4   zero
//	  64   80   data key (64 bytes) by AES-256-GCM, and the tag
//	 144   48   zero
//
// The wrapping key is argon2id(secret, salt), or for a recovery key HKDF-SHA256 of
// its 32 bytes. Authenticated are the header's first 64 bytes and the slot's first
// 48: a changed cost or kind makes the slot useless, and nothing more.
const (
	saltBytes  = 32
	nonceBytes = 12
	dataKey    = 64 // two AES-256 keys, as XTS takes them
	tagBytes   = 16
	slotFixed  = 48
)

// Kind says what a key is.
type Kind uint32

// The kinds of keys. free is that of a slot without one.
const (
	free       Kind = 0
	Passphrase Kind = 1
	KeyFile    Kind = 2
	Recovery   Kind = 3
)

func (k Kind) String() string {
	switch k {
	case Passphrase:
		return "passphrase"
	case KeyFile:
		return "key file"
	case Recovery:
		return "recovery key"
	}
	return fmt.Sprintf("kind %d", uint32(k))
}

// Cost is what argon2id takes to derive a key. The zero Cost stands for
// DefaultCost.
type Cost struct {
	Passes    uint32 // over the memory: 1 to 16
	MemoryKiB uint32 // 8 MiB to 1 GiB
	Lanes     uint32 // 1 to 8
}

func (c Cost) check() error {
	if c.Passes < 1 || c.Passes > maxPasses || c.MemoryKiB < minMemoryKiB || c.MemoryKiB > maxMemoryKiB || c.Lanes < 1 || c.Lanes > maxLanes {
		return fmt.Errorf("%d passes over %d KiB in %d lanes are out of bounds", c.Passes, c.MemoryKiB, c.Lanes)
	}
	return nil
}

// slot is the decoded form; see the map above.
type slot struct {
	kind    Kind
	cost    Cost
	salt    [saltBytes]byte
	nonce   [nonceBytes]byte
	wrapped [dataKey + tagBytes]byte
}

func (s *slot) encode(b []byte) {
	le.PutUint32(b, uint32(s.kind))
	le.PutUint32(b[4:], s.cost.Passes)
	le.PutUint32(b[8:], s.cost.MemoryKiB)
	le.PutUint32(b[12:], s.cost.Lanes)
	copy(b[16:48], s.salt[:])
	copy(b[48:60], s.nonce[:])
	copy(b[64:144], s.wrapped[:])
}

func (s *slot) decode(b []byte) error {
	s.kind = Kind(le.Uint32(b))
	s.cost = Cost{Passes: le.Uint32(b[4:]), MemoryKiB: le.Uint32(b[8:]), Lanes: le.Uint32(b[12:])}
	copy(s.salt[:], b[16:48])
	copy(s.nonce[:], b[48:60])
	copy(s.wrapped[:], b[64:144])
	switch s.kind {
	case Passphrase, KeyFile:
		return s.cost.check()
	case Recovery:
		return nil
	case free:
		if *s != (slot{}) {
			return errors.New("free and not empty")
		}
		return nil
	}
	return fmt.Errorf("unknown %v", s.kind)
}

// newSlot wraps the data key under a secret. That of a recovery key is its 32
// bytes.
func newSlot(h *header, kind Kind, secret, key []byte, cost Cost) (slot, error) {
	s := slot{kind: kind}
	if kind != Recovery {
		s.cost = cost
	}
	rand.Read(s.salt[:])
	rand.Read(s.nonce[:])
	aead, err := s.aead(secret)
	if err != nil {
		return slot{}, err
	}
	aead.Seal(s.wrapped[:0], s.nonce[:], key, s.authenticated(h))
	return s, nil
}

// open returns the data key, or ErrKey if the secret is not this slot's. The
// caller wipes it.
func (s *slot) open(h *header, secret []byte) ([]byte, error) {
	aead, err := s.aead(secret)
	if err != nil {
		return nil, err
	}
	key, err := aead.Open(nil, s.nonce[:], s.wrapped[:], s.authenticated(h))
	if err != nil {
		return nil, ErrKey
	}
	return key, nil
}

func (s *slot) authenticated(h *header) []byte {
	var b [slotBytes]byte
	s.encode(b[:])
	return append(h.fixed(), b[:slotFixed]...)
}

// aead derives the wrapping key.
func (s *slot) aead(secret []byte) (cipher.AEAD, error) {
	var key []byte
	if s.kind == Recovery {
		var err error
		if key, err = hkdf.Key(sha256.New, secret, s.salt[:], "tuplix blockcrypt recovery key", 32); err != nil {
			return nil, err
		}
	} else {
		key = argon2.IDKey(secret, s.salt[:], s.cost.Passes, s.cost.MemoryKiB, uint8(s.cost.Lanes), 32)
	}
	defer clear(key)
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}
