package embedded

// keyList is keys one after another in one buffer.
type keyList struct {
	bytes []byte
	ends  []int
}

func (l *keyList) add(key []byte) {
	l.bytes = append(l.bytes, key...)
	l.ends = append(l.ends, len(l.bytes))
}

func (l *keyList) len() int { return len(l.ends) }

func (l *keyList) at(i int) []byte {
	begin := 0
	if i > 0 {
		begin = l.ends[i-1]
	}
	return l.bytes[begin:l.ends[i]:l.ends[i]]
}

func (l *keyList) clear() { l.bytes, l.ends = l.bytes[:0], l.ends[:0] }
