package user

import (
	"time"

	"github.com/tuplix/tuplix/dbms/table"
)

// User is somebody who may act.
type User struct {
	Name     string    `table:"key"` // by which others name them
	ID       uint32    // the number of Linux; 0 is root
	Home     string    // their directory
	Disabled bool      // cannot log in; what runs already goes on
	Created  time.Time // when
}

// Group is principals together; so is a role, which has no number of Linux's.
type Group struct {
	Name string `table:"key"` // by which grants and members name it
	ID   uint32 // the number of Linux; 0 for a role
	Doc  string // what it is for
}

// Member makes the rights of one principal those of another too.
type Member struct {
	Principal string `table:"key"` // a user, group or role
	Of        string `table:"key"` // a group or role
}

// Grant allows a principal to do something.
type Grant struct {
	Principal string `table:"key"` // a user, group or role
	Kind      Kind   `table:"key"` // what sort of object it is about
	Right     Right  `table:"key"` // what may be done
	Object    string `table:"key"` // its name, "*" for all of the kind; a path includes what is below it
}

// Password is how a user proves who they are by a text.
type Password struct {
	User     string    `table:"key"` // whose
	Hash     string    // argon2id, in the PHC string format
	Once     bool      // it is removed by its first use
	Set      time.Time // when
	Failures int64     // wrong ones since the last right one
	Next     time.Time // before this, no further one is looked at
}

// PublicKey is how a user proves who they are by a private key (SSH).
type PublicKey struct {
	User        string    `table:"key"` // whose
	Fingerprint string    `table:"key"` // SHA256:..., as ssh-keygen shows it
	Type        string    // ssh-ed25519, ...
	Key         []byte    // in the format of SSH's wire
	Comment     string    // as it came with the key
	Added       time.Time // when
}

// Session is a user who has logged in.
type Session struct {
	ID      uint64    `table:"key,auto"` // its number
	User    string    // who
	Program string    // what let them in: console, ssh, http
	From    string    // where they are
	Token   []byte    // SHA-256 of the secret that stands for the session
	Started time.Time // when
	Expires time.Time // when it ends by itself
}

// The tables.
var (
	Users         = table.Declare[User]("os.users")
	byID          = Users.Unique("id", "id")
	Groups        = table.Declare[Group]("os.groups")
	groupID       = Groups.Unique("id", "id").Where("id != 0")
	Members       = table.Declare[Member]("os.members")
	memberOf      = Members.Index("of", "of")
	Grants        = table.Declare[Grant]("os.grants")
	Secrets       = table.Declare[Password]("os.passwords").Cascade("user", Users, "user")
	Keys          = table.Declare[PublicKey]("os.keys").Cascade("user", Users, "user")
	Sessions      = table.Declare[Session]("os.sessions").Cascade("user", Users, "user")
	bySessionUser = Sessions.Index("by_user", "user")
	byToken       = Sessions.Unique("token", "token")
	byEnd         = Sessions.Index("end", "expires")
)

// Tables returns the tables that the package owns.
func Tables() []table.Declared {
	return []table.Declared{Users, Groups, Members, Grants, Secrets, Keys, Sessions}
}
