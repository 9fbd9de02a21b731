package backup

import (
	"reflect"
	"testing"
)

// What decodes encodes to the same again, and nothing makes the decoder panic.
func FuzzBlock(f *testing.F) {
	var all []byte
	for _, r := range []record{
		{kind: recordPut, key: []byte("k"), value: []byte("v")},
		{kind: recordDelete, key: []byte("k")},
		{kind: recordDeleteRange, key: []byte("a"), value: []byte("b")},
		{kind: recordDeleteRange},
	} {
		f.Add(r.appendTo(nil))
		all = r.appendTo(all)
	}
	f.Add(all)
	f.Fuzz(func(t *testing.T, b []byte) {
		records, err := decodeBlock(b)
		if err != nil {
			return
		}
		var again []byte
		for _, r := range records {
			again = r.appendTo(again)
		}
		twice, err := decodeBlock(again)
		if err != nil || !reflect.DeepEqual(records, twice) {
			t.Errorf("%v\n%v\n%v", records, twice, err)
		}
	})
}
