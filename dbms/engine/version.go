package engine

// Version names a state of a store: everything that was committed up to some
// moment. It is opaque; versions of one store are ordered as strings are, and
// that is the order in which the transactions took effect. The zero Version
// names no state: where a version may be left out, it stands for the newest.
//
// A version may be kept (in a table, in a backup) and used later with the same
// store, also after a restart.
type Version string

// Range is the keys k with Low <= k < High, compared bytewise. A nil Low is
// before all keys, a nil High after all.
type Range struct{ Low, High []byte }

// All is the range of all keys.
var All = Range{}

// KeyRange is the range that holds key alone.
func KeyRange(key []byte) Range {
	high := make([]byte, len(key)+1)
	copy(high, key)
	return Range{Low: high[:len(key):len(key)], High: high}
}

// PrefixRange is the range of the keys that begin with prefix.
func PrefixRange(prefix []byte) Range {
	return Range{Low: prefix, High: PrefixEnd(prefix)}
}

// PrefixEnd is the first key after all that begin with prefix, or nil if there
// is none (prefix is empty or all 0xff).
func PrefixEnd(prefix []byte) []byte {
	for n := len(prefix); n > 0; n-- {
		if prefix[n-1] != 0xff {
			end := append([]byte(nil), prefix[:n]...)
			end[n-1]++
			return end
		}
	}
	return nil
}

// Contains reports whether key lies in r.
func (r Range) Contains(key []byte) bool {
	return string(key) >= string(r.Low) && (r.High == nil || string(key) < string(r.High))
}

// Overlaps reports whether some key could lie in both r and o.
func (r Range) Overlaps(o Range) bool {
	return !r.Empty() && !o.Empty() &&
		(r.High == nil || string(o.Low) < string(r.High)) &&
		(o.High == nil || string(r.Low) < string(o.High))
}

// Empty reports whether no key can lie in r.
func (r Range) Empty() bool { return r.High != nil && string(r.Low) >= string(r.High) }
