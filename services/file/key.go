package file

import "encoding/binary"

// All keys of the service, big endian so that they sort by their parts:
//
//	 0      1               9      10
//	+------+---------------+------+------------------------------------+
//	| 'f'  | inode         | kind | the kind's own part                |
//	+------+---------------+------+------------------------------------+
//	         0               's'   empty                 superblock
//	         0               'o'   inode (8)             orphan: no name
//	                                                     left, still open
//	         number          'a'   empty                 inode record
//	         number          'b'   block number (8)      block of data
//	         number          'd'   hash of the name (8), directory entry
//	                               the name
//
// All of one inode lies together. The values are drawn in record.go.
const (
	table = 'f'

	kindSuper  = 's'
	kindOrphan = 'o'
	kindInode  = 'a'
	kindBlock  = 'b'
	kindEntry  = 'd'

	keyHeader = 10
	keyFixed  = keyHeader + 8 // of a block, an orphan, an entry without name

	// MaxName is the longest name of a directory entry, in bytes.
	MaxName = 255

	maxKey = keyFixed + MaxName
)

// key is a buffer for any key, so that making one needs no heap.
type key [maxKey]byte

func (k *key) header(inode uint64, kind byte) {
	k[0] = table
	binary.BigEndian.PutUint64(k[1:], inode)
	k[9] = kind
}

func (k *key) super() []byte {
	k.header(0, kindSuper)
	return k[:keyHeader]
}

func (k *key) inode(number uint64) []byte {
	k.header(number, kindInode)
	return k[:keyHeader]
}

func (k *key) orphan(number uint64) []byte {
	k.header(0, kindOrphan)
	binary.BigEndian.PutUint64(k[keyHeader:], number)
	return k[:keyFixed]
}

func (k *key) block(number, block uint64) []byte {
	k.header(number, kindBlock)
	binary.BigEndian.PutUint64(k[keyHeader:], block)
	return k[:keyFixed]
}

func (k *key) entry(directory uint64, name string) []byte {
	k.header(directory, kindEntry)
	binary.BigEndian.PutUint64(k[keyHeader:], nameHash(name))
	return k[:keyFixed+copy(k[keyFixed:], name)]
}

// entriesFrom is where the entries with this hash or a greater one begin.
func (k *key) entriesFrom(directory, hash uint64) []byte {
	k.header(directory, kindEntry)
	binary.BigEndian.PutUint64(k[keyHeader:], hash)
	return k[:keyFixed]
}

// startKind is before all keys of the inode's kind.
func (k *key) startKind(number uint64, kind byte) []byte {
	k.header(number, kind)
	return k[:keyHeader]
}

// afterKind is the end of all keys of the inode's kind.
func (k *key) afterKind(number uint64, kind byte) []byte {
	k.header(number, kind+1)
	return k[:keyHeader]
}

// hashBits is the size of a name's hash. It leaves room in a directory
// position (63 bits) for the number of an entry among those of equal hash.
const hashBits = 54

// nameHash orders the entries of a directory: FNV-1a with a final mix. It is
// part of the format.
func nameHash(name string) uint64 {
	h := uint64(0xcbf29ce484222325)
	for i := range len(name) {
		h = (h ^ uint64(name[i])) * 0x100000001b3
	}
	h = (h ^ h>>33) * 0xff51afd7ed558ccd
	h = (h ^ h>>33) * 0xc4ceb9fe1a85ec53
	return (h ^ h>>33) >> (64 - hashBits)
}

// parsedKey is a key taken apart.
type parsedKey struct {
	inode uint64
	kind  byte
	value uint64 // block number, orphan's inode or hash
	name  string
}

// parseKey takes a stored key apart; ok is false if it is not well formed.
func parseKey(k []byte) (p parsedKey, ok bool) {
	if len(k) < keyHeader || k[0] != table {
		return p, false
	}
	p.inode, p.kind = binary.BigEndian.Uint64(k[1:]), k[9]
	rest := k[keyHeader:]
	if p.kind == kindSuper || p.kind == kindInode {
		return p, len(rest) == 0
	}
	if len(rest) < 8 {
		return p, false
	}
	p.value, p.name = binary.BigEndian.Uint64(rest), string(rest[8:])
	switch p.kind {
	case kindBlock, kindOrphan:
		return p, p.name == ""
	case kindEntry:
		return p, p.name != "" && len(p.name) <= MaxName && nameHash(p.name) == p.value
	}
	return p, false
}
