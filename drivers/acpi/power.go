package acpi

import (
	"errors"
	"fmt"
)

// Write is one write of a register.
type Write struct {
	Register Register
	Value    uint32
}

// Action is a sequence of writes after which the machine is off or restarts.
// The machine may act on any of them.
type Action []Write

// Writer writes registers of the machine.
type Writer interface {
	WriteRegister(r Register, v uint32)
}

// Do does the writes. It returns if the machine does not obey.
func (a Action) Do(w Writer) {
	for _, x := range a {
		w.WriteRegister(x.Register, x.Value)
	}
}

// Fields of the PM1 control register (ACPI 6.5, 4.8.3.2.1) and of the sleep
// control register of hardware-reduced machines (4.8.3.7).
const (
	pm1SleepType     = 10
	pm1SleepEnable   = 1 << 13
	sleepType        = 2
	sleepEnable      = 1 << 5
	maxSleepType     = 7
	softOff          = `\_S5_`
	softOffElements  = 2
	softOffMinimumIs = 1
)

// PowerOff returns how to turn the machine off: the sleep type for S5 is in the
// namespace, the registers are in FADT. It does not switch the machine from
// legacy to ACPI mode, which virtual machines are not in.
func (t *Tables) PowerOff(ns *Namespace) (Action, error) {
	f, err := t.FADT()
	if err != nil {
		return nil, err
	}
	a, b, err := ns.softOff()
	if err != nil {
		return nil, err
	}
	if f.HardwareReduced {
		if f.SleepControl == (Register{}) {
			return nil, errors.New("acpi: hardware-reduced machine without sleep control register")
		}
		return Action{{f.SleepControl, a<<sleepType | sleepEnable}}, nil
	}
	if f.PM1a == (Register{}) {
		return nil, errors.New("acpi: FADT names no PM1 control register")
	}
	// The type goes first, in both registers; the enabling writes follow.
	writes := Action{{f.PM1a, a << pm1SleepType}, {f.PM1a, a<<pm1SleepType | pm1SleepEnable}}
	if f.PM1b != (Register{}) {
		writes = Action{
			writes[0], {f.PM1b, b << pm1SleepType},
			writes[1], {f.PM1b, b<<pm1SleepType | pm1SleepEnable},
		}
	}
	return writes, nil
}

// softOff returns the values of \_S5 for the two PM1 registers.
func (n *Namespace) softOff() (a, b uint32, err error) {
	p, ok := n.Value(softOff).([]any)
	if !ok || len(p) < softOffMinimumIs {
		return 0, 0, fmt.Errorf("acpi: the namespace has no package %s", softOff)
	}
	var types [softOffElements]uint32
	for i := range min(len(p), softOffElements) {
		v, ok := p[i].(uint64)
		if !ok || v > maxSleepType {
			return 0, 0, fmt.Errorf("acpi: element %d of %s is %v", i, softOff, p[i])
		}
		types[i] = uint32(v)
	}
	return types[0], types[1], nil
}

// Reset returns how to restart the machine.
func (t *Tables) Reset() (Action, error) {
	f, err := t.FADT()
	if err != nil {
		return nil, err
	}
	if f.Reset == (Register{}) {
		return nil, errors.New("acpi: FADT names no reset register")
	}
	return Action{{f.Reset, uint32(f.ResetValue)}}, nil
}
