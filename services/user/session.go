package user

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/tuplix/tuplix/dbms/table"
)

const (
	// SessionTime is how long a session lasts that nobody ends.
	SessionTime = 30 * 24 * time.Hour

	tokenBytes = 32
	endAtOnce  = 10 // sessions that have expired, which each new one removes
)

// StartSession notes that a user is in, after they have proved who they are: what
// let them in, and from where. The token stands for the session; it is not kept,
// and cannot be had again. For another than the caller it needs the right to write
// system user.
func (s *Service) StartSession(ctx context.Context, name, program, from string) (x Session, token string, err error) {
	secret := make([]byte, tokenBytes)
	rand.Read(secret) // never fails (crypto/rand)
	sum := sha256.Sum256(secret)
	now := s.now()
	c := From(ctx)
	_, err = s.store.Update(ctx, Caller{User: c.User, Program: program, Task: c.Task}.Op("user.StartSession"), func(tx *table.Tx) error {
		if c.User != name {
			if err := Check(tx, c, Write, Object{KindSystem, "user"}); err != nil {
				return err
			}
		}
		u, err := Users.Get(tx, name)
		if err != nil {
			return missing(err, name)
		}
		if u.Disabled {
			return ErrLogin
		}
		x = Session{User: name, Program: program, From: from, Token: sum[:], Started: now, Expires: now.Add(SessionTime)}
		return errors.Join(Sessions.Insert(tx, &x), endExpired(tx, now))
	})
	return x, base64.RawURLEncoding.EncodeToString(secret), err
}

// endExpired removes some sessions that have ended by themselves.
func endExpired(tx *table.Tx, now time.Time) error {
	var over []uint64
	for x, err := range byEnd.Scan(tx, table.Through(now).Limit(endAtOnce)) {
		if err != nil {
			return err
		}
		over = append(over, x.ID)
	}
	for _, id := range over {
		if err := Sessions.Delete(tx, id); err != nil {
			return err
		}
	}
	return nil
}

// Resume returns the session of a token, and the caller that acts in it. It fails
// with ErrSession if it has ended.
func (s *Service) Resume(ctx context.Context, token string) (x Session, c Caller, err error) {
	secret, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || len(secret) != tokenBytes {
		return x, c, ErrSession
	}
	sum := sha256.Sum256(secret)
	err = s.store.View(ctx, func(tx *table.Tx) error {
		x, err = byToken.Get(tx, sum[:])
		if errors.Is(err, table.ErrNotFound) || err == nil && !s.now().Before(x.Expires) {
			return ErrSession
		}
		return err
	})
	if err != nil {
		return Session{}, c, err
	}
	return x, Caller{User: x.User, Program: x.Program}, nil
}

// EndSession ends a session. A user may end their own.
func (s *Service) EndSession(ctx context.Context, id uint64) error {
	c := From(ctx)
	_, err := s.store.Update(ctx, c.Op("user.EndSession"), func(tx *table.Tx) error {
		x, err := Sessions.Get(tx, id)
		if errors.Is(err, table.ErrNotFound) {
			return fmt.Errorf("session %d: %w", id, ErrSession)
		}
		if err == nil && x.User != c.User {
			err = Check(tx, c, Write, Object{KindSystem, "user"})
		}
		if err != nil {
			return err
		}
		return Sessions.Delete(tx, id)
	})
	return err
}

// endAll ends all sessions of a user.
func endAll(tx *table.Tx, name string) error {
	var all []uint64
	for x, err := range bySessionUser.Scan(tx, table.Prefix(name)) {
		if err != nil {
			return err
		}
		all = append(all, x.ID)
	}
	for _, id := range all {
		if err := Sessions.Delete(tx, id); err != nil {
			return err
		}
	}
	return nil
}
