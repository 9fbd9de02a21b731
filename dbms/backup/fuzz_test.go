package backup

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/engine/enginetest/model"
)

// FuzzLoad gives a head, data and an end, each with a good checksum and any
// content, to an empty store and to one that has been loaded. What is taken can be
// read, and is as much as was told.
func FuzzLoad(f *testing.F) {
	full := Head{To: "\x00\x05", Time: time.UnixMicro(7)}
	data := record{kind: recordPut, key: []byte("k"), value: []byte("v")}.appendTo(nil)
	more := record{kind: recordDeleteRange, key: []byte("a"), value: []byte("b")}.appendTo(data)
	f.Add(full.encode(), data, []byte{1, 2}, false)
	f.Add(full.encode(), more, []byte{2, 4}, false)
	f.Add(Head{From: "\x00\x05", To: "\x00\x06"}.encode(), more, []byte{2, 4}, true)
	f.Fuzz(func(t *testing.T, head, data, end []byte, second bool) {
		e := model.New(nil)
		defer func() {
			if err := e.Close(); err != nil {
				t.Error(err)
			}
		}()
		if second {
			first := stream(t, full.encode(), nil, []byte{0, 0})
			if _, err := Load(t.Context(), e, bytes.NewReader(first), nil); err != nil {
				t.Fatal(err)
			}
		}
		whole := stream(t, head, data, end)
		read, readErr := Read(bytes.NewReader(whole))
		done, err := Load(t.Context(), e, bytes.NewReader(whole), nil)
		if err == nil && (readErr != nil || read != done) {
			t.Fatalf("loaded %+v, read %+v, %v", done, read, readErr)
		}
		if err != nil && !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrState) {
			t.Fatalf("an error of another kind: %v", err)
		}
		part, err := Interrupted(t.Context(), e)
		if err != nil || part && done != (Summary{}) {
			t.Fatalf("the store is loaded in part: %v, %v", part, err)
		}
		if err := e.Check(t.Context(), func(p engine.Problem) { t.Errorf("%+v", p) }); err != nil {
			t.Fatal(err)
		}
	})
}

// stream is a backup of these payloads.
func stream(t *testing.T, head, data, end []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := newFrames(&out)
	if err != nil {
		t.Fatal(err)
	}
	for _, frame := range []struct {
		kind    byte
		payload []byte
	}{{frameHead, head}, {frameData, data}, {frameEnd, end}} {
		if frame.kind == frameData && len(data) == 0 {
			continue
		}
		if err := w.write(frame.kind, frame.payload); err != nil {
			t.Fatal(err)
		}
	}
	return out.Bytes()
}
