package main

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"io"
)

// samplesOf counts the samples of a profile, and those with the function on
// their stack. Of the format (profile.proto of google/pprof) it reads: Profile
// 2 sample, 4 location, 5 function, 6 string; Sample 1 location, 2 value;
// Location 1 id, 4 line; Line 1 function; Function 1 id, 2 name.
func samplesOf(packed []byte, function string) (have, total int, err error) {
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return 0, 0, err
	}
	text, err := io.ReadAll(z)
	if err != nil {
		return 0, 0, err
	}
	var samples, locations, functions [][]byte
	var names []string
	fields(text, func(n int, _ uint64, b []byte) {
		switch n {
		case 2:
			samples = append(samples, b)
		case 4:
			locations = append(locations, b)
		case 5:
			functions = append(functions, b)
		case 6:
			names = append(names, string(b))
		}
	})
	wanted := map[uint64]bool{} // functions, then locations
	for _, f := range functions {
		var id, name uint64
		fields(f, func(n int, v uint64, _ []byte) {
			switch n {
			case 1:
				id = v
			case 2:
				name = v
			}
		})
		if names[name] == function {
			wanted[id] = true
		}
	}
	places := map[uint64]bool{}
	for _, l := range locations {
		var id uint64
		fields(l, func(n int, v uint64, b []byte) {
			switch n {
			case 1:
				id = v
			case 4:
				fields(b, func(n int, v uint64, _ []byte) {
					if n == 1 && wanted[v] {
						places[id] = true
					}
				})
			}
		})
	}
	for _, s := range samples {
		var at, values []uint64
		fields(s, func(n int, v uint64, b []byte) {
			list := numbers(v, b)
			switch n {
			case 1:
				at = append(at, list...)
			case 2:
				values = append(values, list...)
			}
		})
		if len(values) == 0 {
			return 0, 0, fmt.Errorf("a sample without a count")
		}
		total += int(values[0])
		for _, l := range at {
			if places[l] {
				have += int(values[0])
				break
			}
		}
	}
	return have, total, nil
}

// fields calls f for each field of a protocol buffer message: its number and
// its value or bytes.
func fields(b []byte, f func(n int, v uint64, bytes []byte)) {
	for len(b) > 0 {
		key, k := binary.Uvarint(b)
		v, l := binary.Uvarint(b[k:])
		b = b[k+l:]
		if key&7 == 2 {
			f(int(key>>3), 0, b[:v])
			b = b[v:]
		} else {
			f(int(key>>3), v, nil)
		}
	}
}

// numbers is a repeated field, packed or not.
func numbers(v uint64, packed []byte) (list []uint64) {
	if packed == nil {
		return []uint64{v}
	}
	for len(packed) > 0 {
		v, n := binary.Uvarint(packed)
		list = append(list, v)
		packed = packed[n:]
	}
	return list
}
