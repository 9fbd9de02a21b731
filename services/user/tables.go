package user

import "github.com/tuplix/tuplix/dbms/table"

// Grant allows a principal to do something.
type Grant struct {
	Principal string `table:"key"` // a user, group or role
	Kind      Kind   `table:"key"` // what sort of object it is about
	Right     Right  `table:"key"` // what may be done
	Object    string `table:"key"` // its name, "*" for all of the kind; a path includes what is below it
}

// Member makes the rights of one principal those of another too.
type Member struct {
	Principal string `table:"key"` // a user, group or role
	Of        string `table:"key"` // a group or role
}

// The tables. Grants are read by key, in each check.
var (
	Grants  = table.Declare[Grant]("os.grants")
	Members = table.Declare[Member]("os.members")
)

// Tables returns the tables that the package owns.
func Tables() []table.Declared { return []table.Declared{Grants, Members} }
