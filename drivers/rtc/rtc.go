package rtc

import (
	"errors"
	"fmt"
	"runtime"
	"time"

	reg "github.com/usbarmory/tamago/soc/intel/rtc"
)

// Ports are the machine's I/O ports.
type Ports interface {
	In8(port uint16) uint8
	Out8(port uint16, v uint8)
}

// Registers and bits that TamaGo does not name, or names differently.
const (
	regDay     = 0x07 // of the month
	regStatusB = 0x0b

	updating    = 1 << reg.STATUSA_UIP
	statusB24   = 1 << 1 // hours are 0-23, else 1-12 with bit 7 for p.m.
	statusBBin  = 1 << 2 // numbers are binary, else BCD
	afternoon   = 1 << 7
	ramSize     = 128
	firstMemory = 0x0e // registers from here on are memory
)

// maxPolls bounds the wait for the end of an update, which takes 2 ms; a poll is
// two port accesses of a microsecond or so each.
const maxPolls = 100_000

// maxSamples bounds the attempts at two equal samples.
const maxSamples = 16

var errUnsettled = errors.New("rtc: clock never settles")

// sample is what the registers say.
type sample struct {
	second, minute, hour, day, month, year, century uint8
}

// Read returns the time, to the second. century is the register of the century
// as FADT tells it, 0 if there is none: years are then 1970 to 2069. It takes up
// to a few milliseconds when it meets an update.
func Read(p Ports, century uint8) (time.Time, error) {
	if century < firstMemory || century >= ramSize {
		century = 0
	}
	var last sample
	for try := range maxSamples {
		if err := settle(p); err != nil {
			return time.Time{}, err
		}
		// Between the end of one update and the next is most of a second,
		// but this processor can be held up for longer than that: two equal
		// samples are from one second.
		s := read(p, century)
		if try > 0 && s == last {
			return s.decode(get(p, regStatusB), century != 0)
		}
		last = s
	}
	return time.Time{}, errUnsettled
}

func get(p Ports, register uint8) uint8 {
	p.Out8(reg.CMOS_RTC_OUT, register)
	return p.In8(reg.CMOS_RTC_IN)
}

func settle(p Ports) error {
	for range maxPolls {
		if get(p, reg.STATUSA)&updating == 0 {
			return nil
		}
		runtime.Gosched()
	}
	return errUnsettled
}

func read(p Ports, century uint8) sample {
	s := sample{
		second: get(p, reg.SECONDS),
		minute: get(p, reg.MINUTES),
		hour:   get(p, reg.HOURS),
		day:    get(p, regDay),
		month:  get(p, reg.MONTH),
		year:   get(p, reg.YEAR),
	}
	if century != 0 {
		s.century = get(p, century)
	}
	return s
}

// decode turns a sample into a time, by the format that status register B says.
func (s sample) decode(format uint8, hasCentury bool) (time.Time, error) {
	number := fromBCD
	if format&statusBBin != 0 {
		number = func(v uint8) int { return int(v) }
	}
	hour := number(s.hour)
	if format&statusB24 == 0 {
		hour = number(s.hour&^afternoon)%12 + 12*int(s.hour>>7)
	}
	year := number(s.year) + 1900
	if hasCentury {
		year = number(s.century)*100 + number(s.year)
	} else if year < 1970 {
		year += 100
	}
	month, day := time.Month(number(s.month)), number(s.day)
	minute, second := number(s.minute), number(s.second)
	t := time.Date(year, month, day, hour, minute, second, 0, time.UTC)
	if t.Year() != year || t.Month() != month || t.Day() != day || t.Hour() != hour || t.Minute() != minute || t.Second() != second {
		return time.Time{}, fmt.Errorf("rtc: %d-%d-%d %d:%d:%d is no time", year, month, day, hour, minute, second)
	}
	return t, nil
}

// fromBCD decodes two decimal digits; what is none gives a number above 99,
// which no field can hold.
func fromBCD(v uint8) int {
	if v&0xf > 9 || v>>4 > 9 {
		return 255
	}
	return int(v>>4)*10 + int(v&0xf)
}
