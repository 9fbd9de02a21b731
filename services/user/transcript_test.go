package user_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tuplix/tuplix/dbms/table"
	"github.com/tuplix/tuplix/services/internal/transcript"
	"github.com/tuplix/tuplix/services/user"
)

// TestTranscripts runs the procedures at a clock that stands still between commands.
func TestTranscripts(t *testing.T) {
	transcript.Run(t, "testdata/*.transcript", func(t *testing.T) func(string) string {
		x := &script{users: openUsers(t), tokens: map[string]string{}}
		return x.verbs().Command(t, "")
	})
}

type script struct {
	*users
	tokens map[string]string // of sessions, by the user's name
}

func object(l transcript.Line) user.Object {
	return user.Object{Kind: user.Kind(l.Arg(2)), Name: l.Arg(3)}
}

func (x *script) verbs() transcript.Verbs {
	type line = transcript.Line
	return transcript.Verbs{
		"clock": func(_ context.Context, l line) (string, error) {
			d, err := time.ParseDuration(l.Arg(0))
			x.now = x.now.Add(d)
			return "", err
		},
		"create": func(ctx context.Context, l line) (string, error) {
			id, err := x.Create(ctx, l.Arg(0))
			return answer(err, "number %d", id)
		},
		"look": func(ctx context.Context, l line) (string, error) {
			k, err := x.Lookup(ctx, l.Arg(0))
			return answer(err, "%s: number %d, home %s, disabled %v, has a password: %v", k.Name, k.ID, k.Home, k.Disabled, k.Password)
		},
		"home":    func(ctx context.Context, l line) (string, error) { return "", x.SetHome(ctx, l.Arg(0), l.Arg(1)) },
		"delete":  func(ctx context.Context, l line) (string, error) { return "", x.Delete(ctx, l.Arg(0)) },
		"disable": func(ctx context.Context, l line) (string, error) { return "", x.Disable(ctx, l.Arg(0), true) },
		"enable":  func(ctx context.Context, l line) (string, error) { return "", x.Disable(ctx, l.Arg(0), false) },
		"group": func(ctx context.Context, l line) (string, error) {
			return "", x.CreateGroup(ctx, l.Arg(0), l.Options["doc"])
		},
		"role": func(ctx context.Context, l line) (string, error) {
			return "", x.CreateRole(ctx, l.Arg(0), l.Options["doc"])
		},
		"ungroup": func(ctx context.Context, l line) (string, error) { return "", x.DeleteGroup(ctx, l.Arg(0)) },
		"join":    func(ctx context.Context, l line) (string, error) { return "", x.Join(ctx, l.Arg(0), l.Arg(1)) },
		"leave":   func(ctx context.Context, l line) (string, error) { return "", x.Leave(ctx, l.Arg(0), l.Arg(1)) },
		"grant": func(ctx context.Context, l line) (string, error) {
			return "", x.Grant(ctx, l.Arg(0), user.Right(l.Arg(1)), object(l))
		},
		"revoke": func(ctx context.Context, l line) (string, error) {
			return "", x.Revoke(ctx, l.Arg(0), user.Right(l.Arg(1)), object(l))
		},
		"may": func(ctx context.Context, l line) (string, error) {
			return "", x.store.View(ctx, func(tx *table.Tx) error {
				return user.Check(tx, user.Caller{User: l.Arg(0)}, user.Right(l.Arg(1)), object(l))
			})
		},
		"password": func(ctx context.Context, l line) (string, error) {
			return "", x.SetPassword(ctx, l.Arg(0), l.Options["is"])
		},
		"try": func(ctx context.Context, l line) (string, error) {
			return "", x.CheckPassword(ctx, l.Arg(0), l.Options["password"])
		},
		"key": func(ctx context.Context, l line) (string, error) { return x.AddKey(ctx, l.Arg(0), keyOf(l)) },
		"try-key": func(ctx context.Context, l line) (string, error) {
			wire, err := base64.StdEncoding.DecodeString(strings.Fields(keyOf(l))[1])
			if err != nil {
				return "", err
			}
			return "", x.CheckKey(ctx, l.Arg(0), wire)
		},
		"unkey":      func(ctx context.Context, l line) (string, error) { return "", x.RemoveKey(ctx, l.Arg(0), l.Arg(1)) },
		"first-boot": x.firstBoot,
		"session": func(ctx context.Context, l line) (string, error) {
			s, token, err := x.StartSession(ctx, l.Arg(0), l.Arg(1), l.Arg(2))
			x.tokens[l.Arg(0)] = token
			return answer(err, "session %d of %s by %s from %s", s.ID, s.User, s.Program, s.From)
		},
		"resume": func(ctx context.Context, l line) (string, error) {
			s, c, err := x.Resume(ctx, x.tokens[l.Arg(0)])
			return answer(err, "session %d: user %s, program %s", s.ID, c.User, c.Program)
		},
		"end": func(ctx context.Context, l line) (string, error) {
			var id uint64
			_, err := fmt.Sscan(l.Arg(0), &id)
			if err != nil {
				return "", err
			}
			return "", x.EndSession(ctx, id)
		},
		"show": func(ctx context.Context, _ line) (string, error) { return x.show(ctx) },
	}
}

// keyOf is the key that tests have, or what is given instead.
func keyOf(l transcript.Line) string {
	if text, ok := l.Options["line"]; ok {
		return text
	}
	return annKey
}

// firstBoot does not say the password for one use, but tries it.
func (x *script) firstBoot(ctx context.Context, l transcript.Line) (string, error) {
	key := ""
	if l.Arg(0) == "key" {
		key = annKey
	}
	once, err := x.FirstBoot(ctx, user.Bootstrap{Key: key, Password: l.Options["password"]})
	if once == "" {
		return "no password for one use", err
	}
	return fmt.Sprintf("a password for one use: first %v, then %v", x.CheckPassword(ctx, user.Root, once), x.CheckPassword(ctx, user.Root, once)), err
}

func answer(err error, format string, args ...any) (string, error) {
	if err != nil {
		return "", err
	}
	return fmt.Sprintf(format, args...), nil
}

// show lists who there is, and what they may do.
func (x *script) show(ctx context.Context) (string, error) {
	var out strings.Builder
	err := x.store.View(ctx, func(tx *table.Tx) error {
		for u, err := range user.Users.Scan(tx, table.Span{}) {
			if err != nil {
				return err
			}
			fmt.Fprintln(&out, "user", u.Name, u.ID)
		}
		for g, err := range user.Groups.Scan(tx, table.Span{}) {
			if err != nil {
				return err
			}
			fmt.Fprintln(&out, "group", g.Name, g.ID, g.Doc)
		}
		for m, err := range user.Members.Scan(tx, table.Span{}) {
			if err != nil {
				return err
			}
			fmt.Fprintln(&out, m.Principal, "in", m.Of)
		}
		for g, err := range user.Grants.Scan(tx, table.Span{}) {
			if err != nil {
				return err
			}
			fmt.Fprintln(&out, g.Principal, "may", g.Right, g.Kind, g.Object)
		}
		return nil
	})
	return out.String(), err
}
