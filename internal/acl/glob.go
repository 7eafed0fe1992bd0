package acl

import (
	"strings"

	"nuthatch/internal/glob"
)

// A pattern is a glob of Redis's for names of keys or channels: '*', '?', "[a-z]", "[^a]",
// and '\' before a character that stands for itself.
type pattern struct {
	text string
	// literal: there is nothing special in the pattern, except perhaps one '*' at its
	// end. prefix is then the part before that, and open says whether it is there.
	literal, open bool
	prefix        string
}

func newPattern(text string) pattern {
	p := pattern{text: text}
	p.prefix, p.open = strings.CutSuffix(text, "*")
	p.literal = !strings.ContainsAny(p.prefix, `*?[\`)
	return p
}

// matches tells whether a name matches the pattern. As in Redis, an empty name matches only
// the empty pattern.
func (p *pattern) matches(name []byte) bool {
	switch {
	case len(name) == 0:
		return p.text == ""
	case !p.literal:
		return glob.Match(p.text, name)
	case p.open:
		return len(name) >= len(p.prefix) && string(name[:len(p.prefix)]) == p.prefix
	}
	return string(name) == p.prefix
}
