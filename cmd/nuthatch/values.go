package main

import (
	"errors"
	"fmt"
	"strconv"
)

// set returns a setter for an option without an argument.
func set(p *bool) func(string) error {
	return func(string) error {
		*p = true
		return nil
	}
}

// setText returns a setter for an option whose argument is taken as it is.
func setText(p *string) func(string) error {
	return func(value string) error {
		*p = value
		return nil
	}
}

// natural returns a setter for an option whose argument is a number of 0 or more.
func natural(p *int) func(string) error {
	return func(value string) error {
		n, err := atoi(value)
		if err != nil {
			return err
		}
		*p = n
		return nil
	}
}

func (f *flags) setStatsPort(value string) error {
	n, err := atoi(value)
	if err != nil {
		return err
	}
	if n < 1 || n > maxPort {
		return fmt.Errorf("option -s value %d is not a valid port", n)
	}
	f.statsPort, f.statsGiven = n, true
	return nil
}

func (f *flags) setStatsAddr(value string) error {
	f.statsAddr, f.statsGiven = value, true
	return nil
}

func (f *flags) setMbufSize(value string) error {
	n, err := atoi(value)
	if err != nil || n == 0 {
		return errors.New("option -m requires a non-zero number")
	}
	if n < minMbufSize || n > maxMbufSize {
		return fmt.Errorf("mbuf chunk size must be between %d and %d bytes", minMbufSize, maxMbufSize)
	}
	f.mbufSize = n
	return nil
}

// atoi reads a number as nutcracker does, decimal digits only: no sign, no
// space, no prefix. A number that does not fit 31 bits, which nutcracker lets
// wrap around, is malformed.
func atoi(s string) (int, error) {
	v, err := strconv.ParseUint(s, 10, 31)
	if err != nil {
		return 0, errMalformed
	}
	return int(v), nil
}

// orElse returns s, or a default for an empty s.
func orElse(s, empty string) string {
	if s == "" {
		return empty
	}
	return s
}
