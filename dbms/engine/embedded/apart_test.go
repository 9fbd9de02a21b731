package embedded

import (
	"testing"

	"github.com/tuplix/tuplix/dbms/engine"
)

// Tables end at both ends of a range that is separated, and behind the present rows.
func TestApart(t *testing.T) {
	var e Engine
	ends := func(first string) string {
		_, end, err := e.apart.policy([]byte(first))
		if err != nil {
			t.Fatal(err)
		}
		return string(end)
	}
	if got := ends("dx"); got != "e" {
		t.Errorf("the present ends at %q", got)
	}
	e.Separate(engine.Range{Low: []byte("m"), High: []byte("n")})
	e.Separate(engine.Range{Low: []byte("m"), High: []byte("n")})
	for _, test := range [][2]string{{"c", "dm"}, {"dm", "dn"}, {"dmx", "dn"}, {"dn", "e"}, {"dz", "e"}, {"h", ""}} {
		if got := ends(test[0]); got != test[1] {
			t.Errorf("a table from %q on ends at %q, want %q", test[0], got, test[1])
		}
	}
}
