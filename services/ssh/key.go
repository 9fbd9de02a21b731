package ssh

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/tuplix/tuplix/dbms/store"
	"github.com/tuplix/tuplix/dbms/table"
	"github.com/tuplix/tuplix/services/config"
	"github.com/tuplix/tuplix/services/internal/listen"
	"github.com/tuplix/tuplix/services/user"
)

// HostKey is a key by which clients know the machine again.
type HostKey struct {
	Type    string    `table:"key"` // ssh-ed25519
	Seed    []byte    // the private key: the 32 bytes of RFC 8032
	Created time.Time // when
}

// HostKeys is the table of them.
var HostKeys = table.Declare[HostKey]("os.host_keys")

// Tables returns the tables that the package owns.
func Tables() []table.Declared { return []table.Declared{HostKeys} }

// Listen is where the server listens.
var Listen = listen.Address("ssh.listen", "Where users are let in by SSH, with their key or password: :22, for instance.")

// Settings returns the settings that the package declares.
func Settings() []config.Declared { return []config.Declared{Listen} }

// hostKey returns the machine's key, and makes it if there is none. The new one is
// made before the procedure, which may be run more than once.
func hostKey(ctx context.Context, s *store.Store, now time.Time) (ssh.Signer, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	k := HostKey{Type: ssh.KeyAlgoED25519, Seed: private.Seed(), Created: now}
	op := user.Caller{User: user.Root, Program: program}.Op("ssh.HostKey")
	_, err = s.Update(ctx, op, func(tx *table.Tx) error {
		have, err := HostKeys.Get(tx, k.Type)
		if errors.Is(err, table.ErrNotFound) {
			return HostKeys.Insert(tx, &k)
		}
		k = have
		return err
	})
	if err != nil {
		return nil, err
	}
	if len(k.Seed) != ed25519.SeedSize {
		return nil, fmt.Errorf("ssh: the host key has %d bytes, not %d; delete its row of %s to have a new one made", len(k.Seed), ed25519.SeedSize, HostKeys.Name())
	}
	return ssh.NewSignerFromKey(ed25519.NewKeyFromSeed(k.Seed))
}
