package user

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tuplix/tuplix/dbms/table"
)

// After freeFailures wrong passwords each further attempt has to wait, twice as
// long each time, up to maxWait.
const (
	freeFailures = 4
	maxWait      = time.Minute
)

// SetPassword gives a user a password of 8 to 1024 bytes; their sessions go on. A
// user may do so for themselves. Hashing takes some 20 MiB and 50 ms.
func (s *Service) SetPassword(ctx context.Context, name, password string) error {
	if len(password) < minPassword || len(password) > maxPassword {
		return fmt.Errorf("a password has %d to %d bytes", minPassword, maxPassword)
	}
	return s.setPassword(ctx, name, password, false)
}

// setPassword stores a hash. It is made before the procedure, which must be short.
func (s *Service) setPassword(ctx context.Context, name, password string, once bool) error {
	s.hashing.Lock()
	sum := hash(password)
	s.hashing.Unlock()
	return s.forOneself(ctx, "user.SetPassword", name, func(tx *table.Tx) error {
		return Secrets.Put(tx, &Password{User: name, Hash: sum, Once: once, Set: s.now()})
	})
}

// forOneself runs a procedure that a user may do for themselves.
func (s *Service) forOneself(ctx context.Context, op, name string, fn func(tx *table.Tx) error) error {
	c := From(ctx)
	_, err := s.store.Update(ctx, c.Op(op), func(tx *table.Tx) error {
		if c.User != name {
			if err := Check(tx, c, Write, Object{KindSystem, "user"}); err != nil {
				return err
			}
		}
		if _, err := Users.Get(tx, name); err != nil {
			return missing(err, name)
		}
		return fn(tx)
	})
	return err
}

// CheckPassword returns nil if the password is the user's. One for one use is gone
// then. Errors: ErrLogin, whatever was wrong; ErrTooSoon.
func (s *Service) CheckPassword(ctx context.Context, name, password string) error {
	if len(password) > maxPassword {
		return ErrLogin
	}
	p := Password{Hash: decoy}
	err := s.store.View(ctx, func(tx *table.Tx) error {
		u, err := Users.Get(tx, name)
		if err == nil && !u.Disabled {
			var have Password
			if have, err = Secrets.Get(tx, name); err == nil {
				p = have
			}
		}
		if errors.Is(err, table.ErrNotFound) {
			return nil
		}
		return err
	})
	if err != nil {
		return err
	}
	if s.now().Before(p.Next) {
		return ErrTooSoon
	}
	s.hashing.Lock()
	ok, err := matches(p.Hash, password)
	s.hashing.Unlock()
	if err != nil {
		return err
	}
	if p.User == "" {
		return ErrLogin
	}
	return s.attempted(ctx, p, ok)
}

// attempted notes an attempt at the password that was looked at.
func (s *Service) attempted(ctx context.Context, seen Password, ok bool) error {
	result := ErrLogin
	if ok {
		result = nil
	}
	_, err := s.store.Update(ctx, Caller{User: Root, Program: "login"}.Op("user.CheckPassword"), func(tx *table.Tx) error {
		p, err := Secrets.Get(tx, seen.User)
		if errors.Is(err, table.ErrNotFound) || err == nil && p.Hash != seen.Hash { // used, or set anew
			result = ErrLogin
			return nil
		}
		switch {
		case err != nil:
			return err
		case s.now().Before(p.Next): // others tried at the same time
			result = ErrTooSoon
			return nil
		case ok && p.Once:
			return Secrets.Delete(tx, p.User)
		case ok && p.Failures == 0:
			return nil
		case ok:
			p.Failures = 0
		default:
			p.Failures++
			p.Next = s.now().Add(waitAfter(p.Failures))
		}
		return Secrets.Update(tx, &p)
	})
	return errors.Join(err, result)
}

func waitAfter(failures int64) time.Duration {
	if failures <= freeFailures {
		return 0
	}
	return min(time.Second<<min(failures-freeFailures-1, 10), maxWait)
}

// AddKey lets a user log in with a private key. The line is as in OpenSSH's
// authorized_keys, without options. A user may do so for themselves.
func (s *Service) AddKey(ctx context.Context, name, line string) (fingerprint string, err error) {
	kind, wire, comment, err := parseKey(line)
	if err != nil {
		return "", err
	}
	fingerprint = fingerprintOf(wire)
	return fingerprint, s.forOneself(ctx, "user.AddKey", name, func(tx *table.Tx) error {
		return Keys.Put(tx, &PublicKey{name, fingerprint, kind, wire, comment, s.now()})
	})
}

// RemoveKey ends that.
func (s *Service) RemoveKey(ctx context.Context, name, fingerprint string) error {
	return s.forOneself(ctx, "user.RemoveKey", name, func(tx *table.Tx) error {
		return absent(Keys.Delete(tx, name, fingerprint), "key %s of user %q", fingerprint, name)
	})
}

// CheckKey returns nil if the key, in the format of SSH's wire, is one of the
// user's. That who sent it has the private key is for the caller to see.
func (s *Service) CheckKey(ctx context.Context, name string, key []byte) error {
	return s.store.View(ctx, func(tx *table.Tx) error {
		u, err := Users.Get(tx, name)
		if err == nil && !u.Disabled {
			var have PublicKey
			have, err = Keys.Get(tx, name, fingerprintOf(key))
			if err == nil && bytes.Equal(have.Key, key) {
				return nil
			}
		}
		if err == nil || errors.Is(err, table.ErrNotFound) {
			return ErrLogin
		}
		return err
	})
}

// Bootstrap is what the first boot is told of who may log in.
type Bootstrap struct {
	Key      string // of SSH's, for root
	Password string // for root
	Source   Source // of more keys for root, which is asked at the first boot only; nil: none
}

// Source knows keys that somebody else was told, such as who runs the virtual machine.
type Source interface {
	// Keys returns public keys of SSH's, one at least. It may wait for long, and may be
	// asked again after an error.
	Keys(ctx context.Context) ([]string, error)
}

// FirstBoot sees that somebody can log in. Where nobody can, root gets the password and the
// keys that it is given; if there is neither, a password for one use, which it returns to
// be shown on the console and nowhere else. Lines of a Source that are no keys are left out,
// if there is one that is. After an error the next call, or the next boot, is the first one
// again. Calls wait for each other.
func (s *Service) FirstBoot(ctx context.Context, b Bootstrap) (once string, err error) {
	s.firstBoot.Lock()
	defer s.firstBoot.Unlock()
	first := false
	err = s.store.View(ctx, func(tx *table.Tx) error {
		_, err1 := Secrets.First(tx, table.Span{})
		_, err2 := Keys.First(tx, table.Span{})
		first = errors.Is(err1, table.ErrNotFound) && errors.Is(err2, table.ErrNotFound)
		if first {
			return nil
		}
		return errors.Join(ignore(err1, table.ErrNotFound), ignore(err2, table.ErrNotFound))
	})
	if err != nil || !first {
		return "", err
	}
	keys, err := s.firstKeys(ctx, &b)
	if err != nil {
		return "", err
	}
	if b.Password != "" {
		err = s.SetPassword(ctx, Root, b.Password)
	}
	if err == nil && len(keys) > 0 {
		err = s.forOneself(ctx, "user.FirstBoot", Root, func(tx *table.Tx) error {
			for i := range keys {
				if err := Keys.Put(tx, &keys[i]); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if b != (Bootstrap{}) || err != nil {
		return "", err
	}
	once = oncePassword()
	return once, s.setPassword(ctx, Root, once, true)
}

// firstKeys are the keys that the first boot is told of.
func (s *Service) firstKeys(ctx context.Context, b *Bootstrap) (keys []PublicKey, err error) {
	if b.Key != "" {
		k, err := s.rootKey(b.Key)
		if err != nil {
			return nil, err
		}
		keys = append(keys, k)
	}
	if b.Source == nil {
		return keys, nil
	}
	lines, err := b.Source.Keys(ctx)
	if err != nil {
		return nil, err
	}
	found := false
	for _, line := range lines {
		k, bad := s.rootKey(line)
		if bad != nil {
			err = bad
			continue
		}
		found = true
		keys = append(keys, k)
	}
	if !found {
		return nil, errors.Join(errors.New("there is no key of SSH's in what was told"), err)
	}
	return keys, nil
}

func (s *Service) rootKey(line string) (PublicKey, error) {
	kind, wire, comment, err := parseKey(line)
	return PublicKey{Root, fingerprintOf(wire), kind, wire, comment, s.now()}, err
}

func ignore(err, reason error) error {
	if errors.Is(err, reason) {
		return nil
	}
	return err
}
