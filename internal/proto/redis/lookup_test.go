package redis

import (
	"slices"
	"testing"
)

// TestLookupOfOtherBytes: a name in which one byte is another one is no command, unless it is
// the same letter in the other case, or another command.
func TestLookupOfOtherBytes(t *testing.T) {
	known := map[string]*command{}
	for i := range commands[1:] {
		if c := &commands[i+1]; c.sub == "" {
			known[c.name] = c
		}
	}
	for name := range known {
		for i := range len(name) {
			for b := range 256 {
				other := []byte(name)
				other[i] = byte(b)
				want := known[string(lowerOf(other))]
				if got := lookup(other); got.id != unknown && got != want || got.id == unknown && want != nil {
					t.Errorf("%q finds %q", other, got.name)
				}
			}
		}
	}
}

// lowerOf is b with ASCII's letters in lower case.
func lowerOf(b []byte) []byte {
	b = slices.Clone(b)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return b
}
