package redis

// glob tells whether text matches a pattern of Redis's: '*', '?', "[a-z]", "[^a]" and
// '\' before a character that stands for itself. Case makes no difference.
func glob(pattern, text string) bool {
	// star is the pattern after the last '*', which has matched text up to rest.
	star, rest := "", ""
	starred := false
	for {
		switch {
		case pattern != "" && pattern[0] == '*':
			star, rest, starred = pattern[1:], text, true
			pattern = star
			continue
		case pattern == "" && text == "":
			return true
		case pattern != "" && text != "":
			if n, ok := globOne(pattern, text[0]); ok {
				pattern, text = pattern[n:], text[1:]
				continue
			}
		}
		if !starred || rest == "" {
			return false
		}
		rest = rest[1:]
		pattern, text = star, rest
	}
}

// globOne tells whether a byte matches what a pattern begins with, and how long that
// is.
func globOne(pattern string, b byte) (n int, ok bool) {
	b = lowerByte(b)
	switch {
	case pattern[0] == '?':
		return 1, true
	case pattern[0] == '[':
		return globClass(pattern, b)
	case pattern[0] == '\\' && len(pattern) > 1:
		return 2, lowerByte(pattern[1]) == b
	}
	return 1, lowerByte(pattern[0]) == b
}

// globClass is globOne for a class, such as "[^a-c]". A class without an end extends to
// the end of the pattern.
func globClass(pattern string, b byte) (n int, ok bool) {
	i := 1
	not := i < len(pattern) && pattern[i] == '^'
	if not {
		i++
	}
	for ; i < len(pattern) && pattern[i] != ']'; i++ {
		switch {
		case pattern[i] == '\\' && i+1 < len(pattern):
			i++
			ok = ok || lowerByte(pattern[i]) == b
		case i+2 < len(pattern) && pattern[i+1] == '-':
			low, high := lowerByte(pattern[i]), lowerByte(pattern[i+2])
			ok = ok || min(low, high) <= b && b <= max(low, high)
			i += 2
		default:
			ok = ok || lowerByte(pattern[i]) == b
		}
	}
	return min(i+1, len(pattern)), ok != not
}

func lowerByte(c byte) byte {
	if c-'A' < 26 {
		c += 'a' - 'A'
	}
	return c
}
