package user

import (
	"strings"
	"testing"
)

// Hashes are those of argon2id as its authors' implementation makes them: this one is of
// its tests (phc-winner-argon2, src/test.c). Each part counts.
func TestArgon2id(t *testing.T) {
	const theirs = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
	for _, c := range []struct {
		phc, password string
		want          bool
	}{
		{theirs, "password", true},
		{theirs, "passwore", false},
		{theirs, "", false},
		{strings.Replace(theirs, "t=2", "t=3", 1), "password", false},
	} {
		if got, err := matches(c.phc, c.password); err != nil || got != c.want {
			t.Errorf("%s of %q: %v, %v", c.phc, c.password, got, err)
		}
	}
	for _, damaged := range []string{
		"", "correct horse", strings.Replace(theirs, "argon2id", "argon2i", 1), strings.Replace(theirs, "v=19", "v=16", 1),
		strings.Replace(theirs, "m=65536", "m=1", 1), strings.Replace(theirs, "t=2", "t=1000", 1), theirs[:len(theirs)-30], theirs + "$",
	} {
		if _, err := matches(damaged, "password"); err == nil {
			t.Errorf("%q is taken for a hash", damaged)
		}
	}
}

// A new hash has the costs that are written down, a salt of its own, and not the password.
func TestHash(t *testing.T) {
	const password = "correct horse"
	a, b := hash(password), hash(password)
	if a == b {
		t.Error("two hashes of one password are the same")
	}
	for _, h := range []string{a, b} {
		if !strings.HasPrefix(h, "$argon2id$v=19$m=19456,t=2,p=1$") || strings.Contains(h, password) {
			t.Errorf("the hash is %s", h)
		}
		if ok, err := matches(h, password); !ok || err != nil {
			t.Errorf("%s: %v, %v", h, ok, err)
		}
	}
	if ok, err := matches(decoy, ""); ok || err != nil {
		t.Errorf("the decoy matches: %v, %v", ok, err)
	}
}
