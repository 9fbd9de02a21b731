package blockcrypt

import (
	"crypto/rand"
	"errors"
	"fmt"
)

// Slot tells of one key.
type Slot struct {
	Number int // 0 to MaxSlots-1
	Kind   Kind
	Cost   Cost // zero for a recovery key
	Used   bool // by Unlock
}

// Info is what everybody can see of an encrypted device.
type Info struct {
	ID    [16]byte
	Slots []Slot // those with a key
}

// Inspect reads what needs no key. It writes nothing.
func Inspect(dev BlockDevice) (Info, error) {
	c, err := readCopies(dev)
	if err != nil {
		return Info{}, err
	}
	return c.header.info(-1), nil
}

// Info is that of an unlocked device.
func (v *Volume) Info() Info { return v.copies.header.info(v.slot) }

func (h *header) info(used int) Info {
	info := Info{ID: h.id}
	for i, s := range h.slots {
		if s.kind != free {
			info.Slots = append(info.Slots, Slot{Number: i, Kind: s.kind, Cost: s.cost, Used: i == used})
		}
	}
	return info
}

// AddKey has a further secret open the device, of kind Passphrase or KeyFile. The
// zero Cost is that of the keys that are there. It returns the slot's number.
func (v *Volume) AddKey(kind Kind, secret []byte, cost Cost) (int, error) {
	i, err := v.copies.header.vacant()
	if err != nil {
		return 0, err
	}
	return i, v.change(func(h *header) error { return h.put(i, kind, secret, v.key, cost) })
}

// AddRecovery makes a further recovery key; see Format. To replace an older one,
// remove that.
func (v *Volume) AddRecovery() (recovery string, err error) {
	i, err := v.copies.header.vacant()
	if err != nil {
		return "", err
	}
	err = v.change(func(h *header) error {
		recovery, err = h.putRecovery(i, v.key)
		return err
	})
	if err != nil {
		return "", err
	}
	return recovery, nil
}

// ChangeKey puts another secret in the place of the key in a slot. The zero Cost
// is that of the keys that are there.
func (v *Volume) ChangeKey(number int, kind Kind, secret []byte, cost Cost) error {
	if err := v.check(number); err != nil {
		return err
	}
	return v.change(func(h *header) error { return h.put(number, kind, secret, v.key, cost) })
}

// RemoveKey forgets the key in a slot, unless it is the last one. Copies of the
// disk from before still open with it.
func (v *Volume) RemoveKey(number int) error {
	if err := v.check(number); err != nil {
		return err
	}
	if len(v.Info().Slots) == 1 {
		return errors.New("blockcrypt: the last key stays: without it nothing opens the device")
	}
	return v.change(func(h *header) error {
		h.slots[number] = slot{}
		return nil
	})
}

func (v *Volume) check(number int) error {
	if number < 0 || number >= MaxSlots || v.copies.header.slots[number].kind == free {
		return fmt.Errorf("blockcrypt: there is no key number %d", number)
	}
	return nil
}

// change makes an edited copy of the header durable. If that fails, the change
// may be on the disk or not, and the next Unlock finds out.
func (v *Volume) change(edit func(*header) error) error {
	if v.key == nil {
		return errors.New("blockcrypt: the volume is closed")
	}
	next := *v.copies.header
	next.sequence++
	if err := edit(&next); err != nil {
		return err
	}
	return v.copies.store(v.dev, &next)
}

// vacant finds a slot without a key.
func (h *header) vacant() (int, error) {
	for i := range h.slots {
		if h.slots[i].kind == free {
			return i, nil
		}
	}
	return 0, fmt.Errorf("blockcrypt: all %d keys are taken: remove one first", MaxSlots)
}

// put wraps the data key under a secret of people's choice.
func (h *header) put(i int, kind Kind, secret, key []byte, cost Cost) error {
	if err := checkSecret(kind, secret); err != nil {
		return err
	}
	if cost == (Cost{}) {
		cost = h.usualCost()
	}
	if err := cost.check(); err != nil {
		return fmt.Errorf("blockcrypt: cost of a key: %w", err)
	}
	s, err := newSlot(h, kind, secret, key, cost)
	if err == nil {
		h.slots[i] = s
	}
	return err
}

// putRecovery wraps the data key under a new recovery key.
func (h *header) putRecovery(i int, key []byte) (string, error) {
	secret := make([]byte, recoveryBytes)
	defer clear(secret)
	rand.Read(secret)
	s, err := newSlot(h, Recovery, secret, key, Cost{})
	if err != nil {
		return "", err
	}
	h.slots[i] = s
	return recoveryText(secret), nil
}

// usualCost is that of the first key that has one.
func (h *header) usualCost() Cost {
	for i := range h.slots {
		if c := h.slots[i].cost; c != (Cost{}) {
			return c
		}
	}
	return DefaultCost
}
