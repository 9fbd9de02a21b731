// Package rtc reads the wall clock of PCs, the MC146818 and its successors.
//
// It owns the reading and decoding of the clock's registers. It imports only
// the register map of TamaGo's soc/intel/rtc, whose driver assumes the format
// that it reads (docs/decisions/0002). Ports are behind an interface.
//
// It guarantees that a time is from one moment, not torn by an update, and is a
// date that exists. It refuses a clock that never settles. It neither sets the
// clock nor uses its alarm.
//
// The clock is taken to be in UTC, QEMU's default.
package rtc
