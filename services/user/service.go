package user

import (
	"context"
	"errors"
	"fmt"
	"path"
	"sync"
	"time"

	"github.com/tuplix/tuplix/dbms/store"
	"github.com/tuplix/tuplix/dbms/table"
)

// Reasons of errors.
var (
	ErrNoUser  = errors.New("there is no such user, group or role")
	ErrAbsent  = errors.New("it was not there")
	ErrExists  = errors.New("there is one of this name already")
	ErrName    = errors.New("a name has 1 to 32 letters, digits, dots, hyphens and underscores, and begins with a letter or underscore")
	ErrLogin   = errors.New("user name, password or key is wrong")
	ErrTooSoon = errors.New("too many wrong passwords; try again later")
	ErrSession = errors.New("the session has ended")
)

// firstID is the number of the first user and group after root, as on Linux.
const firstID = 1000

// Options say how users are opened. The zero value is sensible.
type Options struct {
	Now func() time.Time // nil: time.Now
}

// Service is the users of a store. All methods may be called concurrently.
type Service struct {
	store *store.Store
	now   func() time.Time

	hashing   sync.Mutex // one at a time, for the memory that each takes
	firstBoot sync.Mutex // likewise, or two would both be the first
}

// Open sees that root is there.
func Open(ctx context.Context, s *store.Store, o Options) (*Service, error) {
	u := &Service{store: s, now: o.Now}
	if u.now == nil {
		u.now = time.Now
	}
	_, err := s.Update(ctx, Caller{User: Root}.Op("user.Open"), func(tx *table.Tx) error {
		_, err := Users.Get(tx, Root)
		if !errors.Is(err, table.ErrNotFound) {
			return err
		}
		err = Users.Insert(tx, &User{Name: Root, Home: "/root", Created: u.now()})
		return errors.Join(err, Groups.Put(tx, &Group{Name: "users", ID: 100, Doc: "all users but root"}))
	})
	if err != nil {
		return nil, fmt.Errorf("user: %w", err)
	}
	return u, nil
}

// manage runs a procedure that takes the right to write system user.
func (s *Service) manage(ctx context.Context, name string, fn func(tx *table.Tx) error) error {
	c := From(ctx)
	_, err := s.store.Update(ctx, c.Op(name), func(tx *table.Tx) error {
		if err := Check(tx, c, Write, Object{KindSystem, "user"}); err != nil {
			return err
		}
		return fn(tx)
	})
	return err
}

// maxName bounds a name, in bytes.
const maxName = 32

// wellFormed tells whether a name is [a-zA-Z_][a-zA-Z0-9._-]*.
func wellFormed(name string) bool {
	for i := range len(name) {
		c := name[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', c == '_':
		case i > 0 && ('0' <= c && c <= '9' || c == '.' || c == '-'):
		default:
			return false
		}
	}
	return name != "" && len(name) <= maxName
}

// free says whether a name can be given to a new principal.
func free(tx *table.Tx, name string) error {
	if !wellFormed(name) {
		return fmt.Errorf("%q: %w", name, ErrName)
	}
	_, userErr := Users.Get(tx, name)
	_, groupErr := Groups.Get(tx, name)
	for _, err := range []error{userErr, groupErr} {
		if err == nil {
			return fmt.Errorf("%q: %w", name, ErrExists)
		}
		if !errors.Is(err, table.ErrNotFound) {
			return err
		}
	}
	return nil
}

// known says whether there is a principal of that name.
func known(tx *table.Tx, name string) error {
	err := free(tx, name)
	if errors.Is(err, ErrExists) {
		return nil
	}
	if err == nil || errors.Is(err, ErrName) {
		return fmt.Errorf("%q: %w", name, ErrNoUser)
	}
	return err
}

// nextID is the first number after those that are taken.
func nextID[T any](tx *table.Tx, x *table.Index[T], id func(T) uint32) (uint32, error) {
	last, err := x.First(tx, table.From(uint32(firstID)).Reverse())
	if errors.Is(err, table.ErrNotFound) {
		return firstID, nil
	}
	return id(last) + 1, err
}

// Create adds a user, without any way to log in yet, and returns the number. They
// are a member of group users. It needs the right to write system user, as do all
// that follow.
func (s *Service) Create(ctx context.Context, name string) (id uint32, err error) {
	err = s.manage(ctx, "user.Create", func(tx *table.Tx) error {
		if err := free(tx, name); err != nil {
			return err
		}
		if id, err = nextID(tx, byID, func(u User) uint32 { return u.ID }); err != nil {
			return err
		}
		err := Users.Insert(tx, &User{Name: name, ID: id, Home: "/home/" + name, Created: s.now()})
		return errors.Join(err, Members.Insert(tx, &Member{name, "users"}))
	})
	return id, err
}

// Known is a user, and how they can log in.
type Known struct {
	User
	Password bool // they have one
}

// Lookup returns a user. Anybody may ask: it tells no secret.
func (s *Service) Lookup(ctx context.Context, name string) (k Known, err error) {
	err = s.store.View(ctx, func(tx *table.Tx) error {
		if k.User, err = Users.Get(tx, name); err != nil {
			return missing(err, name)
		}
		_, err = Secrets.Get(tx, name)
		k.Password = err == nil
		return ignore(err, table.ErrNotFound)
	})
	return k, err
}

// SetHome changes a user's directory, which must be absolute. Nothing is moved.
func (s *Service) SetHome(ctx context.Context, name, dir string) error {
	if !path.IsAbs(dir) {
		return fmt.Errorf("%q is no directory that begins with /", dir)
	}
	return s.manage(ctx, "user.SetHome", func(tx *table.Tx) error {
		u, err := Users.Get(tx, name)
		if err != nil {
			return missing(err, name)
		}
		u.Home = path.Clean(dir)
		return Users.Update(tx, &u)
	})
}

// Delete removes a user with their passwords, keys, sessions and rights. Root
// cannot be removed.
func (s *Service) Delete(ctx context.Context, name string) error {
	return s.manage(ctx, "user.Delete", func(tx *table.Tx) error {
		if name == Root {
			return errors.New("root cannot be removed")
		}
		if err := Users.Delete(tx, name); err != nil {
			return missing(err, name)
		}
		return forget(tx, name)
	})
}

// Disable keeps a user from logging in, and ends their sessions, or with false lets
// them in again.
func (s *Service) Disable(ctx context.Context, name string, disabled bool) error {
	return s.manage(ctx, "user.Disable", func(tx *table.Tx) error {
		u, err := Users.Get(tx, name)
		if err != nil {
			return missing(err, name)
		}
		u.Disabled = disabled
		if disabled {
			err = endAll(tx, name)
		}
		return errors.Join(err, Users.Update(tx, &u))
	})
}

// CreateGroup adds a group, and CreateRole a role: a group without a number.
func (s *Service) CreateGroup(ctx context.Context, name, doc string) error {
	return s.manage(ctx, "user.CreateGroup", func(tx *table.Tx) error {
		if err := free(tx, name); err != nil {
			return err
		}
		id, err := nextID(tx, groupID, func(g Group) uint32 { return g.ID })
		return errors.Join(err, Groups.Insert(tx, &Group{name, id, doc}))
	})
}

// CreateRole adds a role.
func (s *Service) CreateRole(ctx context.Context, name, doc string) error {
	return s.manage(ctx, "user.CreateRole", func(tx *table.Tx) error {
		if err := free(tx, name); err != nil {
			return err
		}
		return Groups.Insert(tx, &Group{Name: name, Doc: doc})
	})
}

// DeleteGroup removes a group or role with its rights.
func (s *Service) DeleteGroup(ctx context.Context, name string) error {
	return s.manage(ctx, "user.DeleteGroup", func(tx *table.Tx) error {
		if err := Groups.Delete(tx, name); err != nil {
			return missing(err, name)
		}
		return forget(tx, name)
	})
}

// forget removes what refers to a principal that is gone, so that another of the
// same name does not inherit it.
func forget(tx *table.Tx, name string) error {
	_, err1 := Grants.DeleteRange(tx, table.Prefix(name))
	_, err2 := Members.DeleteRange(tx, table.Prefix(name))
	var in []Member
	for m, err := range memberOf.Scan(tx, table.Prefix(name)) {
		if err != nil {
			return err
		}
		in = append(in, m)
	}
	errs := []error{err1, err2}
	for _, m := range in {
		errs = append(errs, Members.Delete(tx, m.Principal, m.Of))
	}
	return errors.Join(errs...)
}

// Join makes a principal a member of a group or role, and Leave ends that.
func (s *Service) Join(ctx context.Context, principal, of string) error {
	return s.manage(ctx, "user.Join", func(tx *table.Tx) error {
		if _, err := Groups.Get(tx, of); err != nil {
			return missing(err, of)
		}
		return errors.Join(known(tx, principal), Members.Put(tx, &Member{principal, of}))
	})
}

// Leave ends a membership.
func (s *Service) Leave(ctx context.Context, principal, of string) error {
	return s.manage(ctx, "user.Leave", func(tx *table.Tx) error {
		return absent(Members.Delete(tx, principal, of), "member %q of %q", principal, of)
	})
}

// Grant gives a principal a right to an object. Who has Admin of the object may do
// so too.
func (s *Service) Grant(ctx context.Context, principal string, r Right, o Object) error {
	return s.onObject(ctx, "user.Grant", o, func(tx *table.Tx) error {
		if err := valid(r, o); err != nil {
			return err
		}
		return errors.Join(known(tx, principal), Grants.Put(tx, &Grant{principal, o.Kind, r, o.Name}))
	})
}

// Revoke takes a right that was granted. It holds from this transaction on.
func (s *Service) Revoke(ctx context.Context, principal string, r Right, o Object) error {
	return s.onObject(ctx, "user.Revoke", o, func(tx *table.Tx) error {
		return absent(Grants.Delete(tx, principal, o.Kind, r, o.Name), "grant to %q of the right to %s %s", principal, r, o)
	})
}

func (s *Service) onObject(ctx context.Context, name string, o Object, fn func(tx *table.Tx) error) error {
	c := From(ctx)
	_, err := s.store.Update(ctx, c.Op(name), func(tx *table.Tx) error {
		err := Check(tx, c, Write, Object{KindSystem, "user"})
		if errors.Is(err, ErrDenied) {
			err = Check(tx, c, Admin, o)
		}
		if err != nil {
			return err
		}
		return fn(tx)
	})
	return err
}

func valid(r Right, o Object) error {
	switch r {
	case Read, Write, Run, Submit, Claim, Admin:
	default:
		return fmt.Errorf("there is no right %q", r)
	}
	switch o.Kind {
	case KindTable, KindPath, KindQueue, KindProgram, KindMailbox, KindTopic, KindSystem:
	default:
		return fmt.Errorf("there is no kind of object %q", o.Kind)
	}
	if o.Name == "" {
		return fmt.Errorf("a grant needs the name of a %s, or %s for all", o.Kind, Every)
	}
	return nil
}

// missing turns table.ErrNotFound into ErrNoUser.
func missing(err error, name string) error {
	if errors.Is(err, table.ErrNotFound) {
		return fmt.Errorf("%q: %w", name, ErrNoUser)
	}
	return err
}

// absent turns table.ErrNotFound into ErrAbsent, with what it is about.
func absent(err error, format string, args ...any) error {
	if errors.Is(err, table.ErrNotFound) {
		return fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), ErrAbsent)
	}
	return err
}
