package memcache

import "math"

// parseUint reads decimal digits, and nothing else.
func parseUint(b []byte) (v uint64, ok bool) {
	for _, c := range b {
		d := uint64(c - '0')
		if d > 9 || v > (math.MaxUint64-d)/10 {
			return 0, false
		}
		v = v*10 + d
	}
	return v, len(b) > 0
}

// isExptime tells whether b is what every memcached takes for an expiration
// time: a decimal number, negative ones allowed, of 64 bits.
func isExptime(b []byte) bool {
	if len(b) > 0 && b[0] == '-' {
		b = b[1:]
	}
	v, ok := parseUint(b)
	return ok && v <= math.MaxInt64
}
