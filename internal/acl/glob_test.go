package acl

import (
	"strings"
	"testing"
)

// TestGlob: patterns match as Redis's do.
func TestGlob(t *testing.T) {
	for _, tt := range []struct {
		pattern, name string
		want          bool
	}{
		{"", "", true},
		{"", "a", false},
		{"a", "", false},
		{"*", "", false},
		{"**", "", false},
		{"*", "a", true},
		{"a*", "a", true},
		{"a**", "a", true},
		{"a*", "ba", false},
		{"*a", "ba", true},
		{"*a", "ab", false},
		{"a*c", "abbbc", true},
		{"a*c*e", "abcde", true},
		{"a*c*e", "abcd", false},
		{"*ab*ab*", "abaab", true},
		{"?", "a", true},
		{"?", "", false},
		{"a?c", "abc", true},
		{"a?c", "ac", false},
		{"[abc]", "b", true},
		{"[abc]", "d", false},
		{"[^abc]", "d", true},
		{"[^abc]", "a", false},
		{"[a-c]x", "bx", true},
		{"[c-a]x", "bx", true},
		{"[a-c]x", "dx", false},
		{"[a\\-c]", "-", true},
		{"[a\\-c]", "b", false},
		{"[abc", "b", true},
		{"[abc", "d", false},
		{"[", "a", false},
		{"[^", "a", true},
		{"[]", "]", false},
		{"[]a", "a", false},
		{"\\*", "*", true},
		{"\\*", "a", false},
		{"a\\", "a\\", true},
		{"\\a", "a", true},
		{"A", "a", false},
		{"user:*", "user:1", true},
		{"user:*", "user:", true},
		{"user:*", "user", false},
		{"user:1", "user:1", true},
		{"user:1", "user:10", false},
		{"*" + strings.Repeat("a*", 20) + "b", strings.Repeat("a", 100), false},
	} {
		p := newPattern(tt.pattern)
		if got := p.matches([]byte(tt.name)); got != tt.want {
			t.Errorf("%q matches %q: %t, want %t", tt.pattern, tt.name, got, tt.want)
		}
	}
}
