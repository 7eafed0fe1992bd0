package config

import "strings"

// suggest returns the one of names that a person most likely meant by word, or
// nothing if none is near: a third of the word's letters, and at least one, may
// be wrong. Of names equally near the first wins.
func suggest(word string, names []string) string {
	best, bestDistance := "", max(1, len(word)/3)+1
	for _, name := range names {
		if d := distance(word, name); d < bestDistance {
			best, bestDistance = name, d
		}
	}
	return best
}

// nearest are all names that are as near to word as the one that suggest returns. One that is
// word but for marks between its parts and upper case is the only one.
func nearest(word string, names []string) []string {
	best := suggest(word, names)
	if best == "" {
		return nil
	}
	var all []string
	for _, name := range names {
		if squeeze(name) == squeeze(word) {
			return []string{name}
		}
		if distance(word, name) == distance(word, best) {
			all = append(all, name)
		}
	}
	return all
}

// didYouMean returns a clause to end a message with, or nothing. It names all values that are
// equally near: a wrong hash, taken at its word, would move keys.
func didYouMean(word string, names []string) string {
	all := nearest(word, names)
	if len(all) == 0 {
		return ""
	}
	for i, name := range all {
		all[i] = quote(name)
	}
	return "; did you mean " + strings.Join(all, " or ") + "?"
}

// distance counts the insertions, deletions, replacements and swaps of two
// neighbours that turn a into b, no letter being touched twice: the "optimal
// string alignment" form of the Damerau-Levenshtein distance. Letters are
// bytes, and upper case is lower case.
func distance(a, b string) int {
	// Three rows of the usual matrix are enough: a swap looks back two.
	before, above, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range above {
		above[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if lower(a[i-1]) == lower(b[j-1]) {
				cost = 0
			}
			row[j] = min(above[j]+1, row[j-1]+1, above[j-1]+cost)
			if i > 1 && j > 1 && lower(a[i-1]) == lower(b[j-2]) && lower(a[i-2]) == lower(b[j-1]) {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, above, row = above, row, before
	}
	return above[len(b)]
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// Suggest returns the one of names that somebody most likely meant by word, or nothing if
// none is near.
func Suggest(word string, names []string) string { return suggest(word, names) }
