package control

import (
	"strings"
	"time"

	"github.com/tuplix/tuplix/dbms/table"
)

// replace makes a table hold these rows and no others, and writes what differs. It
// returns how many rows that were. Key returns the values of a row's primary key.
func replace[T comparable, K comparable](tx *table.Tx, t *table.Table[T], rows []T, key func(row *T) K, parts func(k K) []any) (int, error) {
	old := map[K]T{}
	if err := each(tx, t, func(row *T) { old[key(row)] = *row }); err != nil {
		return 0, err
	}
	changes := 0
	for i := range rows {
		k := key(&rows[i])
		have, found := old[k]
		delete(old, k)
		if found && have == rows[i] {
			continue
		}
		changes++
		if err := t.Put(tx, &rows[i]); err != nil {
			return changes, err
		}
	}
	for k := range old {
		changes++
		if err := t.Delete(tx, parts(k)...); err != nil {
			return changes, err
		}
	}
	return changes, nil
}

// Keys of one and of two columns.
func oneKey[K any](k K) []any         { return []any{k} }
func twoKeys(k [2]string) []any       { return []any{k[0], k[1]} }
func stamp(t time.Time) time.Time     { return time.UnixMicro(t.UnixMicro()).UTC() } // as a table returns it
func problemKey(p *Problem) [2]string { return [2]string{p.Table, p.Row} }

// texts is a list as one column.
func texts[T interface{ String() string }](list []T) string {
	words := make([]string, len(list))
	for i, x := range list {
		words[i] = x.String()
	}
	return strings.Join(words, " ")
}

// text is an address or nothing.
func text[T interface {
	IsValid() bool
	String() string
}](a T) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}
