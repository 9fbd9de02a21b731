package embedded

import "github.com/cockroachdb/pebble/v2"

// pastAt is the state of key at t, of which the present row, if there is one, is
// later than t. An iterator that was made before that row came still shows another
// as present, which is in history by now: came is when, at the latest. The row is
// valid until release. Of an absence, it only finds out since when if that is asked
// for.
//
// Who asks for that looks at a key of which a restore is not repaired, and a repair
// may come in between that there is no present row and the iterator: it stores one
// that is older than t. History has then perhaps a row that ended just when this one
// began, which would be taken for a deletion.
func (r *reader) pastAt(key []byte, t, came version, since bool) (state, error) {
	s, ended, err := r.inBundles(key, hash(key), t)
	if err != nil || s.present {
		return s, err
	}
	it, fresh, err := r.e.kept.take(t)
	if err != nil {
		return state{}, err
	}
	r.held = it
	s, decided, err := r.inHistory(it, key, t)
	if err != nil || s.present {
		return s, err
	}
	if stale, repaired := !fresh && came > it.upTo, since && came == endVersion; !decided && (stale || repaired) {
		if s, err = r.stillPresent(it, key, t); err != nil || s.present {
			return s, err
		}
	}
	if since {
		s.since, err = r.lastEnd(it, key)
		s.since = max(s.since, ended)
	}
	return s, err
}

// guessed looks for key where it is likely to be found without its present row: among
// the rows of history in memory, and in history if the present row was later before.
// It tells whether that was enough.
func (r *reader) guessed(key []byte) (s state, decided bool, err error) {
	h := hash(key)
	if raw := r.e.pasts.get(r.row[:0], key, h, r.at); raw != nil {
		r.release()
		r.row = raw
		row, err := parseRow(raw)
		if err != nil {
			return state{}, false, corruptKey(key, err)
		}
		return state{row: row, present: true}, true, nil
	}
	if !r.e.guesses.history(h, r.at) {
		return state{}, false, nil
	}
	return r.pastOnly(key, h)
}

// pastOnly looks for key in history alone, and tells whether that was enough.
func (r *reader) pastOnly(key []byte, hash uint64) (s state, decided bool, err error) {
	if s, _, err = r.inBundles(key, hash, r.at); err != nil || s.present {
		return s, err == nil, err
	}
	it, _, err := r.e.kept.take(r.at)
	if err != nil {
		return state{}, false, err
	}
	r.held = it
	s, decided, err = r.inHistory(it, key, r.at)
	// A large value is not for the cache, and to ask for it again would let the
	// first one go: Pebble keeps it in a file of its own.
	if s.present && len(key)+len(s.value) <= cachedMost {
		err = r.remember(it, key)
	}
	return s, decided, err
}

// remember puts the row of history where an iterator is into the cache.
func (r *reader) remember(it *keptIter, key []byte) error {
	_, until, err := splitHistory(it.Key())
	if err != nil {
		return corruptKey(key, err)
	}
	raw, err := it.ValueAndErr()
	if err == nil {
		r.e.pasts.put(key, raw, until)
	}
	return storage(err)
}

// inBundles looks for the row of key, which has that hash, in effect at t among those that
// are not at their keys yet. It returns when the last one before ended as well, noVersion if
// that is not here. The iterator that looks at the keys must be taken after this.
func (r *reader) inBundles(key []byte, hash uint64, t version) (s state, ended version, err error) {
	r.release()
	r.key = (t + 1).append(appendGroup(r.key[:0], key))
	raw, found, ended := r.e.bundles.find(r.row[:0], r.key, hash)
	r.row = raw
	if !found {
		return state{}, ended, nil
	}
	row, err := parseRow(raw)
	if err != nil {
		return state{}, ended, corruptKey(key, err)
	}
	if row.since > t {
		return state{}, ended, nil
	}
	return state{row: row, present: true}, ended, nil
}

// inHistory looks for the row of key in effect at t, and leaves the place where it
// would be in r.key. It is decided also that there was none if a later row is
// there.
func (r *reader) inHistory(it *keptIter, key []byte, t version) (s state, decided bool, err error) {
	r.key = (t + 1).append(appendGroup(r.key[:0], key))
	r.limit = appendGroupEnd(r.limit[:0], key)
	if it.SeekGEWithLimit(r.key, r.limit) != pebble.IterValid || !hasGroup(it.Key(), r.key) {
		return state{}, false, storage(it.Error())
	}
	s, err = stateAt(it, key, t)
	return s, err == nil, err
}

// hasGroup tells whether a history key is of the same key as another.
func hasGroup(k, of []byte) bool {
	n := len(of) - versionSize
	return len(k) == len(of) && string(k[:n]) == string(of[:n])
}

// stateAt is the row where an iterator is, if it was in effect at t.
func stateAt(it *keptIter, key []byte, t version) (state, error) {
	raw, err := it.ValueAndErr()
	if err != nil {
		return state{}, storage(err)
	}
	row, err := parseRow(raw)
	if err != nil {
		return state{}, corruptKey(key, err)
	}
	if row.since > t {
		return state{}, nil
	}
	return state{row: row, present: true}, nil
}

// stillPresent looks for a row that the iterator shows as present: one that was moved
// to history after it was made, or stored by a repair before.
func (r *reader) stillPresent(it *keptIter, key []byte, t version) (state, error) {
	r.limit = appendData(r.limit[:0], key)
	if !it.SeekGE(r.limit) || string(it.Key()) != string(r.limit) {
		return state{}, storage(it.Error())
	}
	return stateAt(it, key, t)
}

// lastEnd is when the last row of key before the place in r.key ended, 0 if there
// is none.
func (r *reader) lastEnd(it *keptIter, key []byte) (version, error) {
	low := r.key[:len(r.key)-versionSize]
	if it.SeekLTWithLimit(r.key, low) != pebble.IterValid || !hasGroup(it.Key(), r.key) {
		return noVersion, storage(it.Error())
	}
	_, until, err := splitHistory(it.Key())
	if err != nil {
		return noVersion, corruptKey(key, err)
	}
	return until, nil
}

// came is the transaction that stored a present row, endVersion if that is not
// known: a repair stores rows that are older.
func (r *row) came() version {
	if r.flags&rowRestored != 0 {
		return endVersion
	}
	return r.since
}
