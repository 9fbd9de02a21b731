// Package key encodes tuples of values as bytes whose order, compared bytewise,
// is that of the tuples. It owns these byte layouts, and nothing else: which
// columns a key has, and of what type, its caller knows.
//
// A tuple is its values' encodings, one after another. Every encoding says by
// itself where it ends, so no tuple of some columns is a prefix of another tuple
// of the same columns, and a tuple of fewer columns is a prefix of exactly those
// that begin with its values.
//
//	Bool      00 false, 01 true
//	Uint      00..f7       0 to 247, itself
//	          f7+n, n bytes  larger, in the fewest bytes n = 1..8, big endian
//	Int       08..f7       -120 to 119, plus 128
//	          f7+n, n bytes  larger, as Uint
//	          08-n, n bytes  smaller, the low n bytes of two's complement
//	Float     8 bytes, big endian: the bits, with the sign bit flipped if it is
//	          positive and all bits flipped if it is negative
//	Decimal   01 negative, 02 zero, 03 positive; unless it is zero there follow
//	          the exponent e as Int of 0.d1d2d3... * 10^e (d1 is not 0), and two
//	          digits to a byte, plus 1, without zero pairs at the end, then 00;
//	          all after the first byte is inverted if it is negative
//	Text      the bytes, each 00 as 00 ff, then 00 01
//	UUID      16 bytes
//	Null      00; before a value that could have been null, but is not, 01
//
// Strings, bytes and JSON are Text; times (microseconds since 1970) and durations
// (nanoseconds) are Int. So null comes first, -0 is 0, and NaN, of which there is
// one, comes after +Inf and equals itself. Decimals are equal if they are as
// numbers: 1.0 and 1.00 are the same key. A descending column has all bits of
// its encoding inverted; its null therefore comes last.
//
// The package imports nothing of Tuplix. It guarantees that decoding undoes
// encoding, and refuses, with ErrMalformed, every sequence of bytes that encoding
// does not produce: decoders never panic and accept one encoding per value.
package key
