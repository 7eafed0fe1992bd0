package glob

import (
	"strings"
	"testing"
)

// TestMatch: the matching alone. Patterns of Redis's are tried where they are used.
func TestMatch(t *testing.T) {
	for _, tt := range []struct {
		pattern, name string
		want          bool
	}{
		{"", "", true},
		{"*", "", true},
		{"**", "", true},
		{"?", "", false},
		{"", "a", false},
		{"a*c*e", "abcde", true},
		{"*ab*ab*", "abaab", true},
		{"[c-a]x", "bx", true},
		{"[^abc", "d", true},
		{"a\\", "a\\", true},
		{"A", "a", false},
		{"*" + strings.Repeat("a*", 20) + "b", strings.Repeat("a", 100), false},
	} {
		if got := Match(tt.pattern, tt.name); got != tt.want || Match(tt.pattern, []byte(tt.name)) != got {
			t.Errorf("%q matches %q: %t, want %t", tt.pattern, tt.name, got, tt.want)
		}
	}
}
