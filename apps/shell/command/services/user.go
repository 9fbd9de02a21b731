package services

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/tuplix/tuplix/apps/shell/command"
	"github.com/tuplix/tuplix/dbms/table"
	"github.com/tuplix/tuplix/services/system"
	"github.com/tuplix/tuplix/services/user"
)

func users(open Open) *command.Command {
	name := keys(user.Users, func(u *user.User) string { return u.Name })
	completed := func(cmd *command.Command) *command.Command { return open.completed(cmd, name) }
	return command.Group("user", "users, groups, and what they may do",
		listed(open, "list", "list the users", user.Users, []string{"user", "id", "home", "disabled", "created"},
			func(u *user.User) []any { return []any{u.Name, u.ID, u.Home, u.Disabled, u.Created} }),
		userAdd(open), completed(userPassword(open)), completed(userKey(open)), userKeys(open),
		completed(userHome(open)), completed(userDisable(open)), completed(userEnable(open)), completed(userDelete(open)),
		userGroups(open), userGroup(open), completed(userJoin(open)), completed(userLeave(open)),
		userGrants(open), completed(userGrant(open)), completed(userRevoke(open)),
		userSessions(open), userLogout(open))
}

// named makes a verb that takes a user's name, or several words.
func (open Open) named(verb, usage, summary string, words int, do func(ctx context.Context, s *system.System, args []string) error) *command.Command {
	return open.verb(verb, usage, summary, func(c *command.Call) (job, error) {
		args, err := c.Options().Parse(words, words)
		return func(ctx context.Context, s *system.System) error { return do(ctx, s, args) }, err
	})
}

func userAdd(open Open) *command.Command {
	return open.verb("add", "[-k file] [-g group]... name", "add a user; user passwd or user key lets them log in", func(c *command.Call) (job, error) {
		o := c.Options()
		key := o.String("k,key", "FILE", "", "with the public SSH key in this file")
		groups := o.Strings("g,group", "NAME", "a member of this group or role")
		args, err := o.Parse(1, 1)
		return func(ctx context.Context, s *system.System) error {
			line := ""
			if *key != "" {
				if line, err = readKey(c, *key); err != nil {
					return err
				}
			}
			if _, err := s.User.Create(ctx, args[0]); err != nil {
				return err
			}
			for _, g := range *groups {
				if err := s.User.Join(ctx, args[0], g); err != nil {
					return err
				}
			}
			if line == "" {
				return nil
			}
			_, err := s.User.AddKey(ctx, args[0], line)
			return err
		}, err
	})
}

func passwd(open Open) *command.Command {
	cmd := userPassword(open)
	cmd.Name = "passwd"
	return cmd
}

func userPassword(open Open) *command.Command {
	return open.verb("passwd", "[name]", "set a password, one's own or that of another user", func(c *command.Call) (job, error) {
		args, err := c.Options().Parse(0, 1)
		return func(ctx context.Context, s *system.System) error {
			name := user.From(ctx).User
			if len(args) == 1 {
				name = args[0]
			}
			password, err := c.Secret("new password of " + name + ": ")
			if err != nil {
				return err
			}
			if c.Hide != nil {
				again, err := c.Secret("once more: ")
				if err != nil {
					return err
				}
				if again != password {
					return errors.New("the two differ; nothing is changed")
				}
			}
			return s.User.SetPassword(ctx, name, password)
		}, err
	})
}

// whoami needs no services.
func whoami() *command.Command {
	return &command.Command{
		Name: "whoami", Usage: "", Summary: "print the user on whose behalf commands run",
		Run: func(ctx context.Context, c *command.Call) error {
			if _, err := c.Options().Parse(0, 0); err != nil {
				return err
			}
			_, err := fmt.Fprintln(c.Out, user.From(ctx).User)
			return err
		},
	}
}

// readKey reads a public key from a file, or the input.
func readKey(c *command.Call, name string) (string, error) {
	var in io.Reader = c.In
	if name != "-" {
		f, err := c.Open(name)
		if err != nil {
			return "", command.Named(name, err)
		}
		defer f.Close() // opened for reading
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, 64<<10))
	return string(text), err
}

func userKey(open Open) *command.Command {
	return open.verb("key", "[-r] name file|key|fingerprint", "let a user log in with an SSH key: a file, - for the input, or the text of it",
		func(c *command.Call) (job, error) {
			o := c.Options()
			remove := o.Flag("r,remove", "remove the key with this fingerprint")
			args, err := o.Parse(2, 4) // the text of a key has two or three words
			return func(ctx context.Context, s *system.System) error {
				if *remove {
					return s.User.RemoveKey(ctx, args[0], args[1])
				}
				line := strings.Join(args[1:], " ")
				if len(args) == 2 && !strings.Contains(line, " ") {
					if line, err = readKey(c, line); err != nil {
						return err
					}
				}
				fingerprint, err := s.User.AddKey(ctx, args[0], line)
				if err == nil {
					_, err = fmt.Fprintln(c.Out, fingerprint)
				}
				return err
			}, err
		})
}

func userKeys(open Open) *command.Command {
	return listed(open, "keys", "list the SSH keys of users", user.Keys, []string{"user", "fingerprint", "type", "comment", "added"},
		func(k *user.PublicKey) []any { return []any{k.User, k.Fingerprint, k.Type, k.Comment, k.Added} })
}

func userDisable(open Open) *command.Command {
	return open.named("disable", "name", "keep a user from logging in, and end their sessions", 1,
		func(ctx context.Context, s *system.System, args []string) error {
			return s.User.Disable(ctx, args[0], true)
		})
}

func userEnable(open Open) *command.Command {
	return open.named("enable", "name", "let a user log in again", 1,
		func(ctx context.Context, s *system.System, args []string) error {
			return s.User.Disable(ctx, args[0], false)
		})
}

func userDelete(open Open) *command.Command {
	return open.named("delete", "name", "remove a user with their keys and rights; their files stay", 1,
		func(ctx context.Context, s *system.System, args []string) error { return s.User.Delete(ctx, args[0]) })
}

func userHome(open Open) *command.Command {
	return open.named("home", "name directory", "change the directory of a user; all files in it are theirs", 2,
		func(ctx context.Context, s *system.System, args []string) error {
			return s.User.SetHome(ctx, args[0], args[1])
		})
}

func userGroups(open Open) *command.Command {
	return open.verb("groups", "[--json]", "list groups, roles and their members", func(c *command.Call) (job, error) {
		o := c.Options()
		json := o.Flag("json", jsonHelp)
		_, err := o.Parse(0, 0)
		return func(ctx context.Context, s *system.System) error {
			members := map[string][]string{}
			err := listTable(ctx, s, user.Members, table.Span{}, func(m user.Member) error {
				members[m.Of] = append(members[m.Of], m.Principal)
				return nil
			})
			list := c.List(*json, "group", "id", "members", "what")
			if err == nil {
				err = listTable(ctx, s, user.Groups, table.Span{}, func(g user.Group) error {
					return list.Row(g.Name, limit(g.ID), strings.Join(members[g.Name], " "), g.Doc)
				})
			}
			return errors.Join(err, list.End())
		}, err
	})
}

func userGroup(open Open) *command.Command {
	return open.verb("group", "[-r | --delete] [-d text] name", "make a group, or a role, which has no number", func(c *command.Call) (job, error) {
		o := c.Options()
		role := o.Flag("r,role", "a role, not a group")
		remove := o.Flag("delete", "remove it with its rights")
		doc := o.String("d,doc", "TEXT", "", "what it is for")
		args, err := o.Parse(1, 1)
		return func(ctx context.Context, s *system.System) error {
			switch {
			case *remove:
				return s.User.DeleteGroup(ctx, args[0])
			case *role:
				return s.User.CreateRole(ctx, args[0], *doc)
			}
			return s.User.CreateGroup(ctx, args[0], *doc)
		}, err
	})
}

func userJoin(open Open) *command.Command {
	return open.named("join", "name group", "make a user, group or role a member of a group or role", 2,
		func(ctx context.Context, s *system.System, args []string) error {
			return s.User.Join(ctx, args[0], args[1])
		})
}

func userLeave(open Open) *command.Command {
	return open.named("leave", "name group", "end a membership", 2,
		func(ctx context.Context, s *system.System, args []string) error {
			return s.User.Leave(ctx, args[0], args[1])
		})
}

func userGrants(open Open) *command.Command {
	return listed(open, "grants", "list who may do what", user.Grants, []string{"principal", "right", "kind", "object"},
		func(g *user.Grant) []any { return []any{g.Principal, g.Right, g.Kind, g.Object} })
}

// grantUsage is of grant and revoke.
const grantUsage = "name right kind object"

func userGrant(open Open) *command.Command {
	return open.named("grant", grantUsage,
		"allow something: user grant ann read table '*'; rights: read write run submit claim admin; kinds: table path queue program mailbox topic system", 4,
		func(ctx context.Context, s *system.System, a []string) error {
			return s.User.Grant(ctx, a[0], user.Right(a[1]), user.Object{Kind: user.Kind(a[2]), Name: a[3]})
		})
}

func userRevoke(open Open) *command.Command {
	return open.named("revoke", grantUsage, "take a right that was granted", 4,
		func(ctx context.Context, s *system.System, a []string) error {
			return s.User.Revoke(ctx, a[0], user.Right(a[1]), user.Object{Kind: user.Kind(a[2]), Name: a[3]})
		})
}

func userSessions(open Open) *command.Command {
	return listed(open, "sessions", "list who has logged in", user.Sessions, []string{"session", "user", "by", "from", "started", "expires"},
		func(x *user.Session) []any { return []any{x.ID, x.User, x.Program, x.From, x.Started, x.Expires} })
}

func userLogout(open Open) *command.Command {
	return open.named("logout", "session", "end a session", 1, func(ctx context.Context, s *system.System, args []string) error {
		id, err := strconv.ParseUint(args[0], 10, 64)
		if err != nil {
			return command.Usagef("%q is not the number of a session; user sessions lists them", args[0])
		}
		return s.User.EndSession(ctx, id)
	})
}
