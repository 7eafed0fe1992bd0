// Package glob matches Redis's patterns: '*', '?', "[a-z]", "[^a]", and '\' before a
// character that stands for itself.
package glob

// Match tells whether a name matches a pattern. It goes back to the last '*' only: what an
// earlier one could match, the last one can match too.
func Match[T string | []byte](pattern string, name T) bool {
	// star is where the pattern goes on behind the last '*', which has matched the name up
	// to rest.
	star, rest := -1, 0
	p, n := 0, 0
	for n < len(name) {
		if p < len(pattern) && pattern[p] == '*' {
			if p++; p == len(pattern) {
				return true
			}
			star, rest = p, n
			continue
		}
		if p < len(pattern) {
			if size, ok := matchOne(pattern[p:], name[n]); ok {
				p += size
				n++
				continue
			}
		}
		if star < 0 {
			return false
		}
		rest++
		p, n = star, rest
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}

// matchOne tells whether a byte matches what a pattern begins with, and how long that is.
func matchOne(pattern string, b byte) (size int, ok bool) {
	switch {
	case pattern[0] == '?':
		return 1, true
	case pattern[0] == '[':
		return matchClass(pattern, b)
	case pattern[0] == '\\' && len(pattern) > 1:
		return 2, pattern[1] == b
	}
	return 1, pattern[0] == b
}

// matchClass is matchOne for a class, such as "[^a-c]". A class without an end extends to the
// end of the pattern.
func matchClass(pattern string, b byte) (size int, ok bool) {
	i := 1
	not := i < len(pattern) && pattern[i] == '^'
	if not {
		i++
	}
	for ; i < len(pattern) && pattern[i] != ']'; i++ {
		switch {
		case pattern[i] == '\\' && i+1 < len(pattern):
			i++
			ok = ok || pattern[i] == b
		case i+2 < len(pattern) && pattern[i+1] == '-':
			low, high := pattern[i], pattern[i+2]
			ok = ok || min(low, high) <= b && b <= max(low, high)
			i += 2
		default:
			ok = ok || pattern[i] == b
		}
	}
	return min(i+1, len(pattern)), ok != not
}
