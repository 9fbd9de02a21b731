package table

import (
	"slices"
	"testing"

	"github.com/tuplix/tuplix/dbms/txn"
)

type bulb struct {
	Shop  string `table:"key"`
	ID    int32  `table:"key,desc"`
	Color string
	Lamp  uint64
	note  string `table:"-"`
}

// Read and Remove take the key from a row, and no more.
func TestByRow(t *testing.T) {
	lamps := Declare[lamp]("lamps")
	bulbs := Declare[bulb]("bulbs").Cascade("lamp", lamps, "lamp")
	byColor := bulbs.Index("color", "color")
	bulbs.Index("by_lamp", "lamp")
	db := openDB(t, lamps, bulbs)
	update(t, db, func(tx *Tx) error {
		err := firstError(lamps.Insert(tx, &lamp{ID: 1}), lamps.Insert(tx, &lamp{ID: 2}))
		for i := range int32(6) {
			err = firstError(err, bulbs.Insert(tx, &bulb{Shop: "a", ID: i, Color: "red", Lamp: uint64(1 + i%2)}))
		}
		return err
	})
	update(t, db, func(tx *Tx) error {
		row := bulb{Shop: "a", ID: 3, Color: "green", Lamp: 9, note: "kept"}
		if err := bulbs.Read(tx, &row); err != nil || row != (bulb{"a", 3, "red", 2, "kept"}) {
			t.Errorf("read %+v, %v", row, err)
		}
		fails(t, "read", bulbs.Read(tx, &bulb{Shop: "b", ID: 3}), ErrNotFound)
		fails(t, "remove", bulbs.Remove(tx, &bulb{Shop: "a", ID: 9}), ErrNotFound)
		row.Color, row.Lamp = "green", 9
		err := firstError(bulbs.Remove(tx, &row), lamps.Remove(tx, &lamp{ID: 1})) // which three bulbs go with
		fails(t, "remove twice", bulbs.Remove(tx, &row), ErrNotFound)
		var left []int32
		for x, e := range byColor.Scan(tx, Prefix("red")) {
			left, err = append(left, x.ID), firstError(err, e)
		}
		if !slices.Equal(left, []int32{5, 1}) {
			t.Errorf("left are %d", left)
		}
		return err
	})
	view(t, db, func(tx *Tx) error {
		fails(t, "remove in a view", bulbs.Remove(tx, &bulb{Shop: "a", ID: 5}), txn.ErrReadOnly)
		return nil
	})
	checkDB(t, db)
}
